"""What `emi evaluate` says below its table, and when."""

import io
from pathlib import Path

import numpy as np
import pytest

from emi_model.metrics.conformal import Intervals
from flows.display.evaluation import (
    evaluation_notes,
    evaluation_rows,
    missing_notes,
    show_evaluation,
    training_warning,
)
from tests.labelled import label_set, labelled_rows, near, report_on

INTERVALS = Intervals(0.9, {"Awe": 0.3, "Sheer Joy": 0.3}, 100)
ELSEWHERE = {"train": ["x"], "valid": ["y"]}


def notes(rows, **replaced):
    return "\n".join(evaluation_notes(report_on(rows, **replaced)))


def shown(rows, **replaced):
    out = io.StringIO()
    show_evaluation(report_on(rows, **replaced), Path("plots/a.png"), out)
    return out.getvalue()


def test_the_table_has_a_row_a_target_and_the_mean():
    rows = labelled_rows(40)
    text = shown(rows, intervals=INTERVALS, training_clips=ELSEWHERE)
    pearson = report_on(rows).evaluation.targets["Awe"].pearson
    assert f"{pearson.value:.3f} [{pearson.low:.3f}, {pearson.high:.3f}]" in text
    assert "Coverage of 90 %" in text
    for word in ("Sheer Joy", "mean", "CCC", "MAE", "RMSE", "picture plots/a.png"):
        assert word in text
    assert "WARNING" not in text


def test_a_target_that_does_not_vary_is_undefined_never_zero():
    rows = labelled_rows(40)
    for row in rows:
        row.emi[1] = 0.0
    text = shown(rows)
    (line,) = (line for line in text.splitlines() if line.startswith("│ Sheer Joy"))
    assert line.count("undefined") == 2
    assert "all alike (Sheer Joy); not in the mean" in text


def test_clips_that_trained_the_model_are_warned_of_loudly():
    rows = labelled_rows(10)
    clips = {"train": ["c0", "c1"], "valid": ["c2"]}
    assert "WARNING: 2 of these 10 clips trained this model" in shown(rows, training_clips=clips)
    assert training_warning(report_on(rows, training_clips=ELSEWHERE)) is None
    assert training_warning(report_on(rows)) is None
    assert "does not say which clips trained it" in notes(rows)


@pytest.mark.parametrize(
    ("contents", "said", "unsaid"),
    [
        (range(10), "no coverage: the model's intervals were calibrated on these", "measured on"),
        (range(4), "coverage is measured on 6 of the 10 clips", "no coverage"),
        ([], "10 clips labelled, 10 evaluated of 4 speakers, 0 missing", "coverage"),
    ],
)
def test_coverage_says_what_it_is_measured_on(contents, said, unsaid):
    clips = {"train": ["x"], "valid": [f"c{number}" for number in contents]}
    text = notes(labelled_rows(10), intervals=INTERVALS, training_clips=clips)
    assert said in text
    assert unsaid not in text
    assert (f"{len(contents)} of the clips chose the model's epoch" in text) is bool(contents)


def test_intervals_say_how_they_were_drawn():
    assert "drawn by speaker, 2000 times; of so few (4)" in notes(labelled_rows(40))
    assert "of so few" not in notes(labelled_rows(40, num_speakers=30))
    assert "clip by clip, as no speakers are known" in notes(labelled_rows(40, num_speakers=0))
    assert "no intervals: all clips are of one speaker" in notes(labelled_rows(9, num_speakers=1))
    assert "no coverage: the model has no prediction intervals" in notes(labelled_rows(9))


def test_missing_clips_are_named_by_reason():
    rows = labelled_rows(30)
    missing = {row.clip_id: "not in the corpus" for row in rows[10:22]} | {
        row.clip_id: "no_audio_track: a word" for row in rows[22:]
    }
    report = report_on(rows[:10], labels=label_set(rows), missing=missing)
    many, few = missing_notes(report)
    assert many.startswith("missing, not in the corpus: 010.wav, 011.wav, ")
    assert many.endswith("019.wav and 2 more (--json names all)")
    assert few == "missing, no_audio_track: a word: " + ", ".join(r.clip_id for r in rows[22:])
    *_, mean = evaluation_rows(report, Path("a.png"))
    assert mean["missing"] == missing
    assert "30 clips labelled, 10 evaluated of 4 speakers, 20 missing" in mean["notes"][0]


def test_labels_that_are_missing_are_counted():
    rows = labelled_rows(10)
    predictions = near(rows)
    for row in rows[7:]:
        row.emi[1] = np.nan
    said = notes(rows, predictions=predictions)
    assert "labels missing, the clips left out of that target: Sheer Joy 3" in said
    assert "labels missing" not in notes(labelled_rows(10))
