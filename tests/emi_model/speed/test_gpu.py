"""The checks of a GPU: all of them that a CPU can do, and what becomes of one that breaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from emi_model.errors import EXIT_USAGE
from emi_model.speed import machine
from emi_model.speed.gpu import checks
from emi_model.speed.gpu.__main__ import EXIT_FAILED, main
from emi_model.speed.gpu.rows import CheckRow, at_least, at_most, figure, guarded, table, to_reach
from emi_model.speed.gpu.stage import SMALL, Stage, clips_of_all_lengths


def test_the_small_form_passes_and_says_what_is_not_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(machine.SIZES, "cpu", ((64, 64, 64),))
    out = tmp_path / "gpu.md"
    assert main(["--small", "--device", "cpu", "--out", str(out)]) == 0
    lines = out.read_text().splitlines()
    assert capsys.readouterr().out.splitlines() == lines
    assert lines[0] == "| check | found | expected | ok |"
    verdicts = {cells[0]: cells[3] for cells in (line[2:-2].split(" | ") for line in lines[2:])}
    not_here = [check for check, verdict in verdicts.items() if verdict == "not here"]
    for name in ("against the CPU", "out of memory", "too long for the card", "`fit`", "fastest ("):
        assert any(name in check for check in not_here), name
    passed = [check for check, verdict in verdicts.items() if verdict == "yes"]
    for name in (
        *("in a batch", "Pearson", "training step, bf16", "second process"),
        *("concat, 7 clips", "text_anchored: bf16", "gated, 7 clips", "encoders frozen", "Whisper"),
    ):
        assert any(name in check for check in passed), name


def broken(_: Stage) -> Iterator[CheckRow]:
    yield figure("before", "1")
    raise RuntimeError("a kernel | is missing\nmore")


def test_a_check_that_breaks_is_a_row_and_the_next_ones_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sections = {"first": broken, "next": lambda _: [figure("after", "2")]}
    monkeypatch.setattr(checks, "SECTIONS", sections)
    rows = checks.run_checks(Stage(torch.device("cpu"), SMALL), tuple(sections))
    assert [row.check for row in rows][1:-1] == ["before", "first", "after"]
    assert "RuntimeError: a kernel \\| is missing more" in table(rows)
    monkeypatch.setattr("emi_model.speed.gpu.__main__.run_checks", lambda *_: rows)
    assert main(["--small", "--device", "cpu"]) == EXIT_FAILED
    assert "| first | RuntimeError" in capsys.readouterr().out


def test_without_a_gpu_only_the_small_form_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--device", "cpu"]) == EXIT_USAGE
    assert main(["--small", "--device", "abacus"]) == EXIT_USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 2


def test_what_is_no_number_holds_nothing() -> None:
    nan = float("nan")
    assert [at_most("", nan, 1).verdict, at_least("", nan, 0).verdict] == ["no", "no"]
    assert to_reach("", "", "", is_reached=False).verdict == "not reached"
    assert list(guarded("fine", lambda: [figure("a", "b")])) == [figure("a", "b")]


def test_clips_are_of_all_lengths_and_share_batches() -> None:
    lengths = sorted(len(clip) for clip in clips_of_all_lengths(16, 2.0))
    assert (lengths[0], lengths[-1] > 29_000, len(lengths)) == (400, True, 16)
    assert all(lengths[place + 3] * 0.9 < lengths[place] for place in range(0, 16, 4))
