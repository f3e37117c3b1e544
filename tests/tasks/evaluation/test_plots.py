from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emi_model.errors import ConfigError, StoreError
from emi_model.metrics.agreement import TargetMetrics
from emi_model.metrics.conformal import Intervals
from emi_model.training.trainer import EpochReport
from tasks.comparison.picture import comparison_plot
from tasks.evaluation.plots import (
    ablation_plot,
    agreement_plot,
    check_picture,
    curve_plot,
    save_picture,
)
from tests.labelled import label_set, labelled_rows, near, report_on


def epoch_report(epoch: int, valid: float | None) -> EpochReport:
    metrics = {"Awe": TargetMetrics(valid, valid, 0.1), "Joy": TargetMetrics(None, None, 0.1)}
    return EpochReport(epoch, 3, 0.5 / epoch, 1e-4, metrics if epoch else None, valid, 1.0 * epoch)


class TestAgreement:
    def test_a_panel_a_target_says_what_was_found(self) -> None:
        rows = labelled_rows(40)
        for row in rows:
            row.emi[1] = 0.5
        figure = agreement_plot(report_on(rows))
        awe, joy = figure.axes
        pearson = report_on(rows).evaluation.targets["Awe"].pearson
        assert awe.get_title() == (
            f"Awe\nPearson {pearson.value:.2f} [{pearson.low:.2f}, {pearson.high:.2f}]"
        )
        assert joy.get_title() == "Sheer Joy\nundefined: labels all alike"
        assert awe.get_xlabel() == joy.get_xlabel() == "predicted (0 to 1)"
        assert awe.get_ylabel() == "label (0 to 1)"
        assert "40 clips of 4 speakers, split valid" in figure.get_suptitle()

    def test_clips_without_a_label_are_not_drawn(self) -> None:
        rows = labelled_rows(40)
        predicted = near(rows)
        for row in rows[10:]:
            row.emi[1] = np.nan
        report = report_on(rows, predictions=predicted)
        awe, joy = (panel.collections[0].get_offsets() for panel in agreement_plot(report).axes)
        assert (len(awe), len(joy)) == (40, 10)  # type: ignore[arg-type]
        for row in rows:
            row.emi[1] = np.nan
        figure = agreement_plot(report_on(rows, predictions=predicted))
        assert figure.axes[1].get_title() == "Sheer Joy\nundefined: labels all alike"

    def test_a_row_of_panels_that_is_not_full(self) -> None:
        four = ("Awe", "Joy", "Pain", "Fear")
        rows = [replace(row, emi=np.tile(row.emi, 2)) for row in labelled_rows(12)]
        report = report_on(
            rows, predictions=near(rows), targets=four, labels=label_set(rows, targets=four)
        )
        panels = agreement_plot(report).axes
        assert [panel.get_title().partition("\n")[0] for panel in panels] == list(four)
        assert [panel.get_xlabel() for panel in panels] == ["", *["predicted (0 to 1)"] * 3]

    def test_clips_stand_where_they_were_predicted(self) -> None:
        rows = labelled_rows(12)
        predicted = near(rows)
        points = agreement_plot(report_on(rows, predictions=predicted)).axes[1].collections[0]
        found = [tuple(point) for point in points.get_offsets()]  # type: ignore[attr-defined]
        expected = [(p, row.emi[1]) for p, row in zip(predicted[:, 1], rows, strict=True)]
        assert found == [pytest.approx(point) for point in expected]

    def test_the_models_interval_is_explained_where_it_has_one(self) -> None:
        rows = labelled_rows(12)
        half = Intervals(0.9, {"Awe": None, "Sheer Joy": 0.2}, 50)
        for intervals, there in ((None, False), (half, True)):
            (legend,) = agreement_plot(report_on(rows, intervals=intervals)).legends
            texts = [text.get_text() for text in legend.get_texts()]
            assert ("the model's 90 % interval" in texts) is there
            assert len(texts) == len(set(texts))

    def test_predictions_all_alike_of_one_speaker(self) -> None:
        rows = labelled_rows(3, num_speakers=1)
        figure = agreement_plot(report_on(rows, predictions=[[0.5, 0.5]] * 3))
        assert figure.axes[0].get_title() == "Awe\nundefined: predictions all alike"
        alone = agreement_plot(report_on(rows))
        assert "[" not in alone.axes[0].get_title()


class TestCurves:
    def test_loss_above_correlations_below(self) -> None:
        figure = curve_plot([epoch_report(e, v) for e, v in ((1, None), (2, 0.3), (3, 0.2))])
        above, below = figure.axes
        assert list(above.lines[0].get_ydata()) == [0.5, 0.25, 0.5 / 3]  # type: ignore[arg-type]
        mean = next(line for line in below.lines if line.get_label() == "mean")
        assert [None if math.isnan(y) else y for y in mean.get_ydata()] == [None, 0.3, 0.2]  # type: ignore[union-attr]
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == [
            "Awe",
            "Joy",
            "mean",
            "best mean: 0.300 (epoch 2)",
        ]

    def test_without_validation_there_is_the_loss_alone(self) -> None:
        figure = curve_plot([epoch_report(1, None)], title="debug")
        (panel,) = figure.axes
        assert (panel.get_title(), panel.get_xlabel()) == ("debug", "epoch")


def test_ablations_show_mean_and_spread_over_seeds() -> None:
    rows = [
        {"cell": cell, "target": target, "seed": seed, "pearson": value}
        for cell, values in {"global": (0.2, 0.4), "all": (0.5, None), "none": (None, None)}.items()
        for seed, value in enumerate(values)
        for target in ("Awe", "mean")
    ]
    (panel,) = ablation_plot(rows, title="Table 2").axes
    assert [text.get_text() for text in panel.get_yticklabels()] == ["global", "all", "none"]
    means = [
        line for line in panel.lines if line.get_marker() == "o" and line.get_label()[0] == "_"
    ]  # type: ignore[index]
    assert [line.get_xydata().tolist()[0] for line in means] == [  # type: ignore[union-attr]
        [pytest.approx(0.3), 0],
        [0.5, 1],
    ]


@pytest.mark.parametrize("name", [r"$\pay_$", r"a$\b$c", "US$ {"])
def test_names_with_dollars_are_no_formulae(name: str, tmp_path: Path) -> None:
    rows, targets = labelled_rows(12), ("Awe", f"Joy {name}")
    labels = label_set(rows, targets=targets)
    compared = dict.fromkeys(("pearson", "pearson_low", "pearson_high", "p_holm"), 0.1)
    figures = [
        agreement_plot(report_on(rows, targets=targets, labels=labels, model=f"{name}.csv")),
        curve_plot([epoch_report(1, 0.2)], title=name),
        ablation_plot([{"cell": name, "target": "mean", "pearson": 0.5}], title=name),
        comparison_plot([{**compared, "name": name, "reference": name}], title=name),
    ]
    for figure in figures:
        picture = tmp_path / "figure.svg"
        save_picture(figure, picture)  # whose letters are shapes, each line named in a comment
        assert name in picture.read_text()


class TestSaving:
    @pytest.mark.parametrize(
        ("name", "start"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.SVG", b"<?xml")]
    )
    def test_the_suffix_says_the_format(self, name: str, start: bytes, tmp_path: Path) -> None:
        path = tmp_path / "new" / name
        save_picture(curve_plot([epoch_report(1, None)]), path)
        assert path.read_bytes().startswith(start)
        assert [file.name for file in path.parent.iterdir()] == [name]

    def test_what_cannot_be_written_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"found suffix '\.txt', expected one of \.png"):
            check_picture(tmp_path / "a.txt")
        (tmp_path / "file").write_text("no folder")
        with pytest.raises(StoreError, match="picture could not be written"):
            save_picture(curve_plot([epoch_report(1, None)]), tmp_path / "file" / "a.png")
