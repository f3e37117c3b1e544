from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from emi_model.errors import StoreError
from tasks.comparison.cell import CellRun
from tasks.comparison.plan import Comparison
from tasks.comparison.report import ComparisonReport
from tasks.comparison.run import record_training, recorded_trainings
from tasks.labels.labelled_clips import CachedClip, LabelledAudio
from tasks.schema.comparisons import COMPARISONS_SCHEMA
from tasks.schema.registers import MEAN
from tasks.store.query import answer, stored_question
from tasks.store.store import ResultsStore, create_store
from tests.tasks.ablation.ablations import gathered_at
from tests.tasks.comparison.comparisons import compared, predicted

NOISE = {"paper": 0.05, "concat": 0.6, "late": 0.05}


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> LabelledAudio:
    return gathered_at(tmp_path_factory.mktemp("labelled"), ["train"] * 6 + ["valid"] * 24)


@pytest.fixture(scope="module")
def comparison(gathered: LabelledAudio) -> Comparison:
    return compared(gathered, ("paper", "concat", "late", "text_anchored"), num_seeds=2)


@pytest.fixture(scope="module")
def figures(
    comparison: Comparison, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ResultsStore, ComparisonReport]:
    """Two good systems, a bad one, and one that cannot be built."""
    store = create_store(tmp_path_factory.mktemp("figures") / "store")
    failed: dict[CellRun, str] = {}
    for place, run in enumerate(comparison.runs):
        name = comparison.by_cell[run.cell].name
        if name in NOISE:
            record_training(store, comparison, run, predicted(comparison, NOISE[name], place))
        else:
            failed[run] = "found no text"
    trainings = recorded_trainings(comparison, store)
    return store, ComparisonReport.of(comparison, trainings, failed)


def test_the_best_come_first_and_what_failed_last_with_its_reason(
    figures: tuple[ResultsStore, ComparisonReport],
) -> None:
    _, report = figures
    rows = report.best_first()
    assert [row["name"] for row in rows][2:] == ["concat", "text_anchored"]
    by_name = {row["name"]: row for row in rows}
    bad, broken = by_name["concat"], by_name["text_anchored"]
    assert bad["difference_high"] < 0
    assert by_name["paper"].get("difference") is None
    assert {by_name[name].get("p") for name in NOISE} == {None}  # of three speakers
    assert (broken["num_seeds"], broken["num_failed"]) == (0, 2)
    assert (broken["reason"], broken.get("pearson")) == ("found no text", None)
    assert {row["num_speakers"] for row in rows} == {3}


def test_no_p_is_shown_as_0(figures: tuple[ResultsStore, ComparisonReport]) -> None:
    _, report = figures
    small = [{**row, "p_holm": 2e-5} for row in report.rows]
    assert "| < 0.0001 |" in replace(report, rows=small).markdown()


def test_files_and_rows(
    figures: tuple[ResultsStore, ComparisonReport], comparison: Comparison, tmp_path: Path
) -> None:
    store, report = figures
    report.write(tmp_path / "report", store)
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "comparison.md",
        "comparison.parquet",
        "comparison.png",
    }
    table = pq.read_table(tmp_path / "report" / "comparison.parquet")
    assert table.schema.equals(COMPARISONS_SCHEMA)
    assert table.num_rows == 4 * 3
    text = (tmp_path / "report" / "comparison.md").read_text()
    assert "| system | mean Pearson | sd of seeds | CCC | less paper | p (Holm) |" in text
    assert "## Pearson by target" in text
    assert "- Failed: text_anchored (2): found no text" in text
    assert "taught nothing and chose nothing: 4 training clips taught, 2 training clips" in text
    assert "4000 resamples, of a subset 1000, draws speakers, the same" in text
    assert "Of so few speakers (3)" in text
    assert "There is no p of fewer than 5 speakers" in text
    later = ComparisonReport.of(comparison, recorded_trainings(comparison, store), {})
    later.write(tmp_path / "later", store)
    rows = answer(store.location, "SELECT DISTINCT report FROM comparisons").to_pylist()
    assert rows == [{"report": later.rows[0]["report"]}]
    best = answer(store.location, stored_question("best_systems")).to_pylist()
    assert [row["name"] for row in best] == [row["name"] for row in later.best_first()]
    means = answer(
        store.location,
        f"SELECT name, p_holm FROM comparisons WHERE target = '{MEAN}' AND reason IS NOT NULL",
    )
    assert means.num_rows == 0
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        report.write(tmp_path / "taken", store)


def test_clips_of_unknown_speakers_are_drawn_one_by_one(
    figures: tuple[ResultsStore, ComparisonReport], comparison: Comparison
) -> None:
    measured = comparison.clips.measured or ()
    nameless = [replace(clip, speaker="") for clip in measured if isinstance(clip, CachedClip)]
    alone = replace(comparison, clips=comparison.clips._replace(measured=nameless))
    report = ComparisonReport.of(alone, recorded_trainings(alone, figures[0]), {})
    assert "draws clips, as no speakers are known, the same for all" in " ".join(report.notes())
    (bad,) = [row for row in report.best_first() if row["name"] == "concat"]
    assert bad["p"] is not None  # of 24 clips, each counted for itself


def test_a_reference_that_failed_leaves_no_differences(
    figures: tuple[ResultsStore, ComparisonReport], gathered: LabelledAudio
) -> None:
    store, _ = figures
    names = ("paper", "concat", "text_anchored")
    comparison = compared(gathered, names, reference="text_anchored", num_seeds=2)
    failed = dict.fromkeys(comparison.runs[2::3], "no text")
    report = ComparisonReport.of(comparison, recorded_trainings(comparison, store), failed)
    assert [row.get("difference") for row in report.rows] == [None] * 9
    assert all(line[4] == "-" for line in report.cells())


def test_a_control_is_told_as_one(gathered: LabelledAudio, store: ResultsStore) -> None:
    comparison = compared(gathered, shuffled=True)
    for run in comparison.runs:
        record_training(store, comparison, run, predicted(comparison, 50.0))
    report = ComparisonReport.of(comparison, recorded_trainings(comparison, store), {})
    text = report.markdown()
    assert "labels of the training shuffled" in text
    assert "less chance" in text
    assert "A control: each training clip has the labels of another" in text
    assert "One seed" in text
