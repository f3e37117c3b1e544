from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emi_model.errors import LabelError
from tasks.evaluation.own_predictions import NO_PREDICTION, evaluate_file
from tests.labelled import label_set, labelled_rows, near, report_on

ROWS = labelled_rows(20)
LABELS = label_set([*ROWS, *(replace(r, clip_id=f"t/{r.clip_id}", split="test") for r in ROWS)])


def written(folder: Path, *lines: str, header: str = "sheer_joy;Filename;AWE;note") -> str:
    (folder / "theirs.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return str(folder / "theirs.csv")


def lines(predicted: np.ndarray, scale: float = 1.0) -> list[str]:
    return [
        f"{joy * scale};./{row.clip_id};{awe * scale};x"
        for row, (awe, joy) in zip(ROWS, predicted.tolist(), strict=True)
    ]


def test_they_get_the_figures_that_a_model_gets(tmp_path: Path) -> None:
    expected = report_on(ROWS, predictions=near(ROWS), labels=LABELS)
    path = written(tmp_path, *lines(near(ROWS)), "0.5;elsewhere.wav;0.5;")
    found = evaluate_file(path, LABELS, "valid")
    assert (found.model, len(found.model_sha256)) == ("theirs.csv", 64)
    assert found.evaluation == expected.evaluation
    assert found.missing == {}
    assert found.standing.num_trained_on is None
    hundred = evaluate_file(written(tmp_path, *lines(near(ROWS), 100)), LABELS, "valid", scale=100)
    assert hundred.evaluation.mean.pearson.value == pytest.approx(
        expected.evaluation.mean.pearson.value
    )


def test_clips_without_a_number_are_missing(tmp_path: Path) -> None:
    given = lines(near(ROWS))
    given[3] = "0.5;003.wav;;x"
    found = evaluate_file(written(tmp_path, *given[:15]), LABELS, "valid")
    assert found.evaluation.num_clips == 14
    assert found.missing == dict.fromkeys(
        ["003.wav", *(f"{number:03d}.wav" for number in range(15, 20))], NO_PREDICTION
    )


@pytest.mark.parametrize(
    ("header", "rows", "cause"),
    [
        ("filename,awe", ["000.wav,0.5"], "lacks one column sheer_joy: found filename, awe"),
        ("file,awe,sheer joy", ["000.wav,0.5,0.5"], "lacks one column filename or clip_id"),
        ("clip_id,awe,sheer joy", ["000.wav,0.5"], "line 2 has 2 cells, expected 3"),
        ("clip_id,awe,sheer joy", ["x.wav,0.5,1"], "all 20 labelled clips of split valid are"),
        (
            "clip_id,awe,sheer joy",
            ["000.wav,0.5,1", "./000.wav,0.5,1"],
            "line 3: './000.wav' is the clip 000.wav again",
        ),
    ],
)
def test_what_is_refused(header: str, rows: list[str], cause: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=cause.replace(".", r"\.")):
        evaluate_file(written(tmp_path, *rows, header=header), LABELS, "valid")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="cannot read the predictions"):
        evaluate_file(f"{tmp_path}/none.csv", LABELS, "valid")
