"""A few clips go through the stages in this process: the same rows and promises, without Ray."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.errors import CheckpointError, ConfigError, ScoringError
from emi_model.targets import EMI_TARGETS
from emi_model.units import SAMPLING_RATE
from tasks.cluster.budget import ScorerPool
from tasks.corpus.clips import ClipFile
from tasks.corpus.listing import holds_few, list_clips
from tasks.processes.surroundings import ROOT
from tasks.progress import Observer, observed_by
from tasks.scoring.direct import score_files
from tasks.scoring.run import score_corpus
from tasks.scoring.score_clips import rows_made, scoring_work
from tasks.scoring.settings import ScoringSettings
from tasks.scoring.stages.in_process import FEW_BYTES, FEW_CLIPS, are_few
from tasks.scoring.stages.stage import ActorStage
from tasks.store.query import answer
from tests.tiny import BACKBONE

POOL = ScorerPool()
SETTINGS = ScoringSettings("m", EMI_TARGETS, 12.0, "first", "fp32")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a tiny checkpoint with random weights."""
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE)
    folder: Path = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(folder, EmiModel(config).eval(), ModelCard("tiny", config.targets))
    return str(folder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of nine clips of noise, and one that is no media."""
    folder: Path = tmp_path_factory.mktemp("few")
    noise = np.random.default_rng(0).integers(-9000, 9000, 2 * SAMPLING_RATE).astype(np.int16)
    for number in range(9):
        soundfile.write(folder / f"{number}.wav", noise[: 8_000 + 1_000 * number], SAMPLING_RATE)
    (folder / "broken.wav").write_text("no media")
    return folder


class InterruptedOnce(Observer):
    """Interrupts the run once it has the first rows."""

    def advance(self, num_done: int, note: str = "") -> None:
        raise KeyboardInterrupt


def test_a_run_gives_the_rows_of_emi_score_and_goes_on_after_an_interrupt(
    tmp_path: Path, corpus: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.scoring.score_clips.scoring_cluster", None)  # no Ray
    store = str(tmp_path / "store")
    with observed_by(InterruptedOnce()), pytest.raises(KeyboardInterrupt):
        score_corpus(str(corpus), store, model, precision="fp32")
    rows = "SELECT * FROM scores ORDER BY clip_id"
    before = answer(store, rows).to_pylist()
    assert 0 < len(before) < 10
    record = score_corpus(str(corpus), store, model, precision="fp32")
    done = (record["num_skipped"], record["num_scored"], record["num_rejected"])
    assert done == (len(before), 9 - sum(row["reason"] is None for row in before), 1)
    assert record["nodes"] == {platform.node(): record["num_scored"]}
    assert record["numerics"] == {"fp32": record["num_scored"]}
    assert record["score_seconds"] > 0 < record["extract_seconds"]
    states = answer(store, "SELECT state FROM runs ORDER BY started_at")["state"].to_pylist()
    assert states == ["interrupted", "completed"]

    made = {row["clip_id"]: row for row in answer(store, rows).to_pylist()}
    assert [made[row["clip_id"]] for row in before] == before
    direct, _ = score_files([str(clip) for clip in sorted(corpus.iterdir())], model)
    assert len(made) == len(direct) == 10
    for row in direct:
        same = made[Path(row["clip_id"]).name]
        for name in same.keys() & row.keys() - {"clip_id", "uri"}:
            value = same[name]
            expected = pytest.approx(row[name], abs=1e-5) if isinstance(value, float) else row[name]
            assert value == expected, name


class Touchy:
    """Stands in for a scorer that certain clips break: an error of a library, or of ours."""

    broken_by = "3.wav"

    def __init__(self, settings: Any, budget: Any, ledger: Any) -> None:
        assert ledger is None, "there is no Ray"

    def close(self) -> None:
        pass

    def __call__(self, block: pa.Table) -> pa.Table:
        ids = block["clip_id"].to_pylist()
        if self.broken_by in ids:
            raise ValueError("odd shape\nof a tensor")
        return pa.table({"clip_id": ids, "reason": pa.nulls(len(ids), pa.string())})


class Broken(Touchy):
    """Raises an error that has nothing to do with the clips."""

    def __call__(self, block: pa.Table) -> pa.Table:
        raise RuntimeError("can't start new thread")


class Unwilling(Touchy):
    """Finds out that it cannot work at all."""

    def __call__(self, block: pa.Table) -> pa.Table:
        raise ConfigError("the device is gone\nfor good")


class Unable:
    """Cannot be made."""

    def __init__(self, settings: Any, budget: Any, ledger: Any) -> None:
        raise ImportError("no such library")


def made_by(actor: type[Any], corpus: Path) -> dict[str, tuple[str | None, str | None]]:
    """Put clips through an actor; returns reason and detail of each row by clip id."""
    work = scoring_work(SETTINGS)
    work = replace(work, stages=(ActorStage("score", actor, SETTINGS),))
    found: dict[str, tuple[str | None, str | None]] = {}
    with rows_made(list_clips(str(corpus)), work, POOL) as made:
        for row in (row for rows in made for row in rows.to_pylist()):
            assert row["clip_id"] not in found
            found[row["clip_id"]] = row["reason"], row.get("detail")
    return found


def test_a_clip_that_raises_an_error_twice_is_rejected_and_no_other(corpus: Path) -> None:
    found = made_by(Touchy, corpus)
    reason, detail = found.pop("3.wav")
    assert reason == "worker_died"
    assert detail == "odd shape: 2 times with this clip, the last time alone"
    assert len(found) == 9
    assert set(found.values()) == {(None, None)}


def test_an_error_with_any_clips_ends_the_run_and_rejects_none(corpus: Path) -> None:
    with pytest.raises(ScoringError, match="can't start new thread: 3 times in a row"):
        made_by(Broken, corpus)


def test_what_ends_a_run_on_ray_ends_it_here_in_the_same_words(corpus: Path, model: str) -> None:
    with pytest.raises(ScoringError, match=r"^the device is gone$"):
        made_by(Unwilling, corpus)
    with pytest.raises(ScoringError, match="workers die before they take a clip: no such library"):
        made_by(Unable, corpus)
    other = replace(SETTINGS, model=model, model_sha256="0" * 64)
    with (
        rows_made(list_clips(str(corpus)), scoring_work(other), POOL) as made,
        pytest.raises(CheckpointError, match=r"^node .* expected 000000000000"),
    ):
        list(made)


def clips(num: int, size: int | None = 1) -> list[ClipFile]:
    return [ClipFile(f"{number}.mp4", b"/gone", size, 1) for number in range(num)]


WHOLE = replace(SETTINGS, max_seconds=None, coverage="full")


@pytest.mark.parametrize(
    ("listed", "settings", "pool", "few"),
    [
        (clips(FEW_CLIPS), SETTINGS, POOL, True),
        (clips(FEW_CLIPS + 1), SETTINGS, POOL, False),
        (clips(FEW_CLIPS, FEW_BYTES), SETTINGS, POOL, True),
        (clips(1, FEW_BYTES + 1), WHOLE, POOL, False),
        (clips(2, FEW_BYTES // 2), WHOLE, POOL, True),
        (clips(1, None), WHOLE, POOL, True),
        (clips(1), SETTINGS, ScorerPool(1), False),
    ],
)
def test_few_are_few_clips_or_few_bytes_to_decode(
    listed: Sequence[ClipFile], settings: ScoringSettings, pool: ScorerPool, few: bool
) -> None:
    assert are_few(listed, scoring_work(settings), pool) is few


def test_a_cluster_or_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    work = scoring_work(SETTINGS)
    assert not are_few(clips(1), work, POOL, "head:6379")
    assert are_few(clips(1), work, POOL, "local")
    monkeypatch.setenv("EMI_FEW_CLIPS", "2")
    assert are_few(clips(2), work, POOL)
    assert not are_few(clips(3), work, POOL)
    monkeypatch.setenv("EMI_FEW_CLIPS", "0")
    assert not are_few(clips(1), work, POOL)
    monkeypatch.setenv("EMI_FEW_CLIPS", "some")
    with pytest.raises(ConfigError, match="EMI_FEW_CLIPS is 'some', expected a number of clips"):
        are_few(clips(1), work, POOL)
    monkeypatch.delenv("EMI_FEW_CLIPS")
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert not are_few(clips(1), work, POOL)


def test_what_is_loaded_early_depends_on_where_clips_are_scored(corpus: Path) -> None:
    code = (
        "import sys\n"
        "from tasks.cluster.budget import ScorerPool\n"
        "from tasks.scoring.stages.in_process import begin_to_load\n"
        "for pool in (ScorerPool(), ScorerPool(2)):\n"
        f"    begin_to_load({str(corpus)!r}, pool).join(60)\n"
        "    print('emi_model.predict' in sys.modules, 'ray.data' in sys.modules)"
    )
    found = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert found.splitlines() == ["True False", "True True"]


def test_what_holds_few_clips(corpus: Path) -> None:
    assert [holds_few(str(corpus), most) for most in (0, 9, 10)] == [False, False, True]
    one = str(corpus / "1.wav")
    assert [holds_few(one, most) for most in (0, 1)] == [False, True]
    assert not holds_few(str(corpus / "gone.csv"), 64)
    assert not holds_few("s3://bucket/clips", 64)
