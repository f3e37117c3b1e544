from __future__ import annotations

import numpy as np
import pytest

from emi_model.errors import CheckpointError, LabelError
from emi_model.metrics.agreement import pearson
from emi_model.metrics.conformal import Intervals
from tasks.evaluation.report import EvaluationReport
from tasks.store.store import ResultsStore
from tasks.store.views import connect
from tests.labelled import label_set, labelled_rows, near, report_on

TRAINED = {"train": ["c0", "c1", "c2"], "valid": [f"c{number}" for number in range(3, 10)]}
INTERVALS = Intervals(0.9, {"Awe": 0.3, "Sheer Joy": None}, 100, "of a split")


def mean_of(report: EvaluationReport) -> dict[str, object]:
    (row,) = (row for row in report.rows() if row["target"] == "mean")
    return row


class TestFigures:
    def test_columns_follow_the_models_order_of_targets(self) -> None:
        rows = labelled_rows(40)
        predicted = near(rows)
        report = report_on(
            rows, predictions=predicted[:, ::-1], targets=("sheer joy", "Awe"), missing={}
        )
        assert list(report.evaluation.targets) == ["sheer joy", "Awe"]
        truth = [row.emi[0] for row in rows]
        found = report.evaluation.targets["Awe"].pearson.value
        assert found == pytest.approx(pearson(predicted[:, 0], truth))

    def test_intervals_are_drawn_by_speaker(self) -> None:
        rows = labelled_rows(60)
        report = report_on(rows)
        assert (report.num_speakers, report.evaluation.num_groups) == (4, 4)
        nobody = labelled_rows(60, num_speakers=0)
        report = report_on(nobody)
        assert (report.num_speakers, report.evaluation.num_groups) == (None, 60)

    def test_equal_calls_give_equal_figures(self) -> None:
        rows = labelled_rows(30)
        first, second = report_on(rows).rows(), report_on(rows).rows()
        new = {"evaluation_id", "evaluated_at"}
        assert [{k: v for k, v in row.items() if k not in new} for row in first] == [
            {k: v for k, v in row.items() if k not in new} for row in second
        ]
        assert first[0]["evaluation_id"] != second[0]["evaluation_id"]


class TestMissing:
    def test_clips_of_the_split_are_here_or_missing(self) -> None:
        rows = labelled_rows(20)
        others = labelled_rows(25, split="train")[20:]
        report = report_on(
            rows[:18],
            labels=label_set(rows + others),
            missing={"018.wav": "no audio", "019.wav": "no audio", "020.wav": "of another split"},
        )
        assert report.missing == {"018.wav": "no audio", "019.wav": "no audio"}
        row = report.rows()[0]
        assert (row["num_labelled"], row["num_clips"], row["num_missing"]) == (20, 18, 2)
        with pytest.raises(ValueError, match="18 clips and 1 missing of 20"):
            report_on(rows[:18], labels=label_set(rows), missing={"018.wav": "no audio"})

    def test_nothing_left_is_one_line(self) -> None:
        rows = labelled_rows(3)
        nothing = {"clips": [], "predictions": np.zeros((0, 2))}
        with pytest.raises(LabelError, match=r"all 3 labelled clips .* not in the corpus: check"):
            report_on(rows, **nothing, missing={row.clip_id: "not in the corpus" for row in rows})
        with pytest.raises(LabelError, match="no labelled clip in split test"):
            report_on(rows, **nothing, split="test")

    def test_values_that_are_not_finite(self) -> None:
        rows = labelled_rows(3)
        with pytest.raises(CheckpointError, match="tiny: gives values that are not finite"):
            report_on(rows, predictions=np.full((3, 2), np.nan))


@pytest.mark.parametrize("targets", [("Awe",), ("Awe", "Sheer Joy", "Pain"), ("Awe", "Pain"), ()])
def test_other_targets_are_refused(targets: tuple[str, ...]) -> None:
    with pytest.raises(LabelError, match="found labels of Awe, Sheer Joy, expected") as caught:
        report_on(labelled_rows(3), targets=targets)
    assert "\n" not in str(caught.value)


class TestStanding:
    def test_coverage_is_measured_on_clips_that_training_did_not_use(self) -> None:
        rows = labelled_rows(40)
        predicted = near(rows)
        predicted[:10] = 1.0 - predicted[:10].round()  # far off, but not held out
        report = report_on(rows, predictions=predicted, intervals=INTERVALS, training_clips=TRAINED)
        standing = report.standing
        assert (standing.num_trained_on, standing.num_held_out) == (3, 30)
        truth = np.array([row.emi[0] for row in rows[10:]])
        inside = np.abs(predicted[10:, 0] - truth) <= 0.3
        assert standing.coverage == {"Awe": pytest.approx(inside.mean())}
        coverages = [row["coverage"] for row in report.rows()]
        assert coverages == [standing.coverage["Awe"], None, standing.coverage["Awe"]]
        assert mean_of(report)["coverage_level"] == 0.9

    def test_there_is_none_on_the_clips_of_the_calibration(self) -> None:
        rows = labelled_rows(10)[3:]
        report = report_on(rows, intervals=INTERVALS, training_clips=TRAINED)
        assert (report.standing.num_trained_on, report.standing.num_held_out) == (0, 0)
        assert report.standing.coverage == {}
        assert (mean_of(report)["coverage"], mean_of(report)["coverage_level"]) == (None, 0.9)

    def test_a_model_that_does_not_say(self) -> None:
        rows = labelled_rows(10)
        report = report_on(rows, intervals=INTERVALS)
        assert (report.standing.num_trained_on, report.standing.num_held_out) == (None, None)
        assert set(report.standing.coverage) == {"Awe"}
        same = Intervals(0.9, INTERVALS.half_widths, 10, label_set(rows).split_sha256)
        report = report_on(rows, intervals=same)
        assert (report.standing.num_trained_on, report.standing.num_held_out) == (None, 0)
        assert report.standing.coverage == {}

    def test_no_intervals(self) -> None:
        report = report_on(labelled_rows(10), training_clips=TRAINED)
        assert (report.standing.coverage, report.standing.coverage_level) == ({}, None)
        assert report.coverage_mean is None


def test_rows_are_read_by_sql(store: ResultsStore) -> None:
    rows = labelled_rows(30)
    for row in rows:
        row.emi[1] = 0.5
    report = report_on(rows, intervals=INTERVALS, training_clips={"train": ["x"], "valid": ["y"]})
    report.write(store)
    with connect(store.location) as connection:
        found = connection.sql(
            "SELECT target, pearson, pearson_low, ccc, mae > 0, rmse >= mae, coverage, num_clips, "
            "num_speakers, num_held_out, interval_level, num_resamples, snapshot, split, model "
            "FROM evaluations ORDER BY target"
        ).fetchall()
    awe = report.evaluation.targets["Awe"]
    figures = (awe.pearson.value, awe.pearson.low, awe.ccc.value, True, True, report.coverage_mean)
    shared = (30, 4, 30, 0.95, 2000, "ab" * 32, "valid", "tiny")
    assert found == [
        ("Awe", *figures, *shared),
        ("Sheer Joy", None, None, None, True, True, None, *shared),
        ("mean", *figures, *shared),
    ]


def test_nothing_varies() -> None:
    rows = labelled_rows(30)
    for row in rows:
        row.emi[:] = 0.5
    mean = mean_of(report_on(rows))
    assert (mean["pearson"], mean["pearson_low"], mean["ccc"]) == (None, None, None)
    assert mean["mae"] == pytest.approx(np.abs(near(rows) - 0.5).mean())
