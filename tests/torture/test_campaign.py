"""The quick part of the campaign, and its own checks."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest

from tests.torture.campaign import _faults_of, run_campaign
from tests.torture.mutations import MUTATIONS, write_mutants, write_synthetic

FILES = 40


def test_every_damaged_file_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    bases = write_synthetic(tmp_path / "bases")
    write_mutants(bases, tmp_path / "corpus", FILES, seed=1)
    found = run_campaign(tmp_path / "corpus", tmp_path)
    assert found.faults == []
    assert found.outcomes.total() == FILES + 6
    assert found.outcomes["refused"] == 2
    assert found.outcomes["missing"] == 1
    assert found.outcomes["scored"] > FILES / 3


def test_mutants_are_the_same_each_time_and_all_kinds_damage(tmp_path: Path) -> None:
    base = tmp_path / "a.wav"
    base.write_bytes(random.Random(0).randbytes(10_000))
    for folder in ("one", "two"):
        write_mutants([base], tmp_path / folder, 5, seed=3)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir() if path.is_file()}
        for folder in ("one", "two")
    )
    assert {name: one[name] for name in one if "list" not in name} == {
        name: two[name] for name in two if "list" not in name
    }
    for name, mutate in MUTATIONS.items():
        damaged = mutate(bytearray(base.read_bytes()), random.Random(5), [b"other" * 100])
        assert damaged != base.read_bytes(), name
        assert isinstance(mutate(bytearray(), random.Random(5), [b""]), bytearray), name


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"status": "scored", "joy": None}, "without a score"),
        ({"detail": ""}, "without a word"),
        ({"detail": "the None track is encrypted"}, "not for people"),
        ({"detail": "[mov @ 0x7f0012ab34cd] bad"}, "not for people"),
        ({"reason": "timeout"}, "timeout"),
    ],
)
def test_what_it_calls_a_fault(facts: dict[str, object], said: str) -> None:
    row = {"clip_id": "a", "status": "rejected", "reason": "unreadable", "detail": "a word"}
    assert not list(_faults_of(row))
    (fault,) = _faults_of(row | {"duration_seconds": 1.0} | facts)
    assert said in fault
