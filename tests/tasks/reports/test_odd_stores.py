"""Reports of stores that lack something, that others filled, or that lie in a bucket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from emi_model.errors import ConfigError, QueryError, StoreError
from tasks.progress import Observer, observed_by, take_remarks
from tasks.reports.report import Report, check_report_file, make_report, write_report
from tasks.schema.fields import checked
from tasks.schema.registers import labels_schema
from tasks.scoring.commit import RunStamp, Tally
from tasks.scoring.run_record import RunRecord, RunState, write_record
from tasks.storage.open import open_file
from tasks.store.store import ResultsStore
from tests.places import DISK_AND_BUCKET
from tests.tasks.reports.pages import Page

Commit = Callable[..., None]
MakeStamp = Callable[..., RunStamp]

HOSTILE = "</title><script>alert(1)</script>\"'&<img src=x onerror=alert(1)>.mp4"
SECTIONS = 12


class Watcher(Observer):
    """Counts what is done."""

    total = done = 0

    def begin(self, stage: str, total: int | None, unit: str) -> None:
        self.total = total or 0

    def advance(self, num_done: int, note: str = "") -> None:
        self.done += num_done


def test_an_empty_store_says_what_to_do(store: ResultsStore) -> None:
    watcher = Watcher()
    with observed_by(watcher):
        report = make_report(store.location)
    page = Page(report.html)
    assert (report.num_clips, page.count("figure")) == (0, 0)
    assert page.count("section") == SECTIONS
    assert watcher.done == watcher.total == SECTIONS + 1
    assert page.missing == list(report.missing)
    words = " ".join(page.missing)
    for cause in ("emi process", "emi labels add", "emi evaluate", "No run is recorded", "Drift"):
        assert cause in words


def test_clips_without_timelines_labels_or_evaluations(store: ResultsStore, commit: Commit) -> None:
    commit("part", "a.mp4", "b.mp4", num_seconds=0)
    page = Page(make_report(store.location).html)
    words = " ".join(page.missing)
    for cause in ("no labels", "no timelines", "No model was evaluated", "no column of 2"):
        assert cause in words
    assert page.rows("Mean, standard deviation and quantiles")["Joy, scores"][:2] == ["2", "0.500"]


def test_labels_alone(store: ResultsStore) -> None:
    schema = labels_schema(("Joy",))
    row = dict.fromkeys(schema.names) | {"content_sha256": "a", "split": "valid", "snapshot": "ab"}
    rows = [
        row | {"clip_id": f"{n}.mp4", "joy": n / 4, "number": 1, "added_at": datetime.now(UTC)}
        for n in range(4)
    ]
    store.record("labels", "one", checked(pa.Table.from_pylist(rows, schema), schema))
    page = Page(make_report(store.location).html)
    assert page.rows("Mean, standard deviation and quantiles")["Joy, labels"][:2] == ["4", "0.375"]
    assert page.tables["Clips by Joy"][0] == ["from, to", "labels"]
    assert "No clip has scores yet" in page.missing[0]


def test_labels_that_share_two_clips_have_no_correlation(store: ResultsStore) -> None:
    schema = labels_schema(("Awe", "Calm", "Joy"))
    row = dict.fromkeys(schema.names) | {"content_sha256": "a", "split": "valid", "snapshot": "ab"}
    rows = [
        row | {"clip_id": f"{n}.mp4", "number": 1, "added_at": datetime.now(UTC)} | rated
        for n, rated in enumerate(
            {"awe": awe, "calm": awe * awe, "joy": awe if n < 2 else None}
            for n, awe in enumerate((0.1, 0.9, 0.4, 0.3))
        )
    ]
    store.record("labels", "one", checked(pa.Table.from_pylist(rows, schema), schema))
    found = Page(make_report(store.location).html).rows("Correlations among labels")
    assert float(found["Calm"][0]) > 0.9
    assert found["Joy"][:2] == ["-", "-"]


def test_all_clips_rejected(store: ResultsStore, commit: Commit) -> None:
    commit("part", "a.mp4", "b.mp4", reason="unreadable")
    page = Page(make_report(store.location).html)
    assert page.rows("Rejected clips by reason") == {"unreadable": ["2"]}
    assert "No clip has scores yet" in " ".join(page.missing)
    assert page.text("strong")[:3] == ["2", "0", "2"]


def test_scores_all_alike_have_no_correlation(
    store: ResultsStore, commit: Commit, make_stamp: MakeStamp
) -> None:
    taught = {f"of {name}": "train" for name in ("a.mp4", "b.mp4")}
    stamp = make_stamp(training_splits=taught)
    commit("part", "a.mp4", "b.mp4", "c.mp4", value=0.25, stamp=stamp)
    page = Page(make_report(store.location).html)
    assert page.rows("Correlations among scores")["Joy"][:2] == ["-", "-"]
    assert any(text.startswith("2 of the scored clips taught") for text in page.text("p"))


def test_targets_of_another_model(
    store: ResultsStore, commit: Commit, make_stamp: MakeStamp
) -> None:
    commit("part", "a.mp4", "b.mp4", stamp=make_stamp(targets=("Calm", "Awe & Joy")), value=0.75)
    page = Page(make_report(store.location).html)
    table = page.rows("Mean, standard deviation and quantiles")
    assert {name.removesuffix(", scores") for name in table} == {
        *("Calm", "Awe joy", "Arousal", "Dominance", "Valence")
    }
    assert page.rows("Columns")["calm"][0] == "score of calm, a target of this model."


def test_what_others_named_stays_text(
    store: ResultsStore, commit: Commit, make_stamp: MakeStamp
) -> None:
    stamp = make_stamp(
        model=HOSTILE, run_id=f"r'{HOSTILE}".replace("/", "|"), backbone_licence=HOSTILE
    )
    commit("part", HOSTILE, "it's.mp4", stamp=stamp, codec=HOSTILE, sampling_rate=16_000)
    record = RunRecord(
        make_stamp(model=HOSTILE),
        "corpus",
        "auto",
        datetime.now(UTC),
        RunState.FAILED,
        message=HOSTILE,
    )
    write_record(store, record, Tally())
    report = make_report(store.location, title=HOSTILE)
    page = Page(report.html)
    assert page.count("script") == page.count("img") == 0
    assert {name for _, one in page.elements for name in one if name.startswith("on")} == set()
    assert HOSTILE in page.text("h1")
    assert page.rows("Audio codecs") == {HOSTILE: ["2"]}
    assert HOSTILE in page.tables["Runs, the latest first"][1]
    assert f"Arousal, dominance, valence by second of {HOSTILE}" in page.tables


@DISK_AND_BUCKET
def test_a_report_beside_its_store(store: ResultsStore, commit: Commit) -> None:
    commit("part", "a.mp4", "b.mp4")
    report = make_report(store.location)
    out = f"{store.location}-pages/r.html"
    size = write_report(report, out)
    folder, name = open_file(out)
    assert folder.read(name).decode() == report.html
    assert size == len(report.html.encode())
    assert "<h1>Emotion scores: " in report.html


def test_groups_by_a_column_that_is_named(store: ResultsStore, commit: Commit) -> None:
    commit("part", *(f"a{number}/x.mp4" for number in range(12)), value=0.2, codec="aac")
    commit("more", *(f"b{number}/x.mp4" for number in range(6)), value=0.6, codec="opus")
    page = Page(make_report(store.location, by="codec").html)
    assert page.rows("Joy by group") == {
        "aac": ["0.200", "0.200", "0.200", "0.000", "12", "12"],
        "opus": ["0.600", "0.600", "0.600", "0.000", "6", "6"],
    }
    assert any("of 18 clips nobody knows who speaks" in text.lower() for text in page.text("p"))
    assert any(text.startswith("joy is lower in aac than in opus") for text in page.text("p"))
    with pytest.raises(QueryError, match=r"--by codex: .*did you mean codec"):
        make_report(store.location, by="codex")
    with pytest.raises(QueryError, match="--by folder: found 18 different values"):
        make_report(store.location, by="folder")


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"found suffix '.pdf', expected .html or .htm"):
        check_report_file("r.pdf")
    check_report_file("s3://bucket/R.HTML")
    with pytest.raises(StoreError):
        make_report(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"r.html: the report cannot be written"):
        write_report(Report("", 0, ()), f"{tmp_path}/file/r.html")


def test_a_damaged_part_is_passed_over(store: ResultsStore, commit: Commit) -> None:
    commit("one", "a.mp4", "b.mp4", value=0.25)
    commit("two", *(f"c{number}.mp4" for number in range(200)), value=0.75)
    (part,) = [one for one in store.parts("scores") if one.name == "two"]
    content = store.folder.read(part.file)
    zeros = bytes(len(content) // 2)
    store.folder.write(part.file, content[:8] + zeros + content[8 + len(zeros) :])
    report = make_report(store.location)
    page = Page(report.html)
    assert report.num_clips == 2
    assert page.rows("Mean, standard deviation and quantiles")["Joy, scores"][:2] == ["2", "0.250"]
    assert any("two" in line for line in take_remarks())
