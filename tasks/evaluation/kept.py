"""Where a report is kept: its rows and its picture in a store."""

from __future__ import annotations

from tasks.evaluation.plots import agreement_plot, save_picture
from tasks.evaluation.report import EvaluationReport
from tasks.storage.open import child
from tasks.store.store import ResultsStore

PLOTS_FOLDER = "plots"


def keep_report(report: EvaluationReport, store: ResultsStore, plot: str | None = None) -> str:
    """Write a report's rows to a store, and its picture; returns where the picture is.

    Args:
        report: of a model, or of somebody's predictions.
        store: that keeps the figures.
        plot: file of the picture; default: ``plots/<evaluation id>.png`` in the store.

    Raises:
        ConfigError: a picture of no known format.
        StoreError: the store or the picture cannot be written.
    """
    report.write(store)
    picture = plot or child(store.location, f"{PLOTS_FOLDER}/{report.evaluation_id}.png")
    save_picture(agreement_plot(report), picture)
    return picture
