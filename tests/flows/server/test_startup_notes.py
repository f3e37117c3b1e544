"""What `emi up` points out when it starts."""

from datetime import UTC, datetime

import pytest

from flows.server.deployments import Setup
from flows.server.startup_notes import scorer_line, start_notes
from tasks.labels.add_labels import add_labels
from tasks.schema.registers import DECISIONS_SCHEMA, register_table
from tasks.schema.tables import DECISIONS
from tasks.store.store import create_store

TYPED = {
    "string": "x",
    "bool": False,
    "double": 0.5,
    "int64": 1,
    "int32": 1,
    "timestamp[us, tz=UTC]": datetime.now(UTC),
}
"""A value of each type, for a row of which only the snapshot counts."""


@pytest.fixture
def site(tmp_path, emi_home):
    store = create_store(tmp_path / "store")
    return Setup(corpus="/clips", results=store.location, labels=store.location, model="/m")


def labelled(site, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.mp4").write_bytes(b"a")
    (tmp_path / "labels.csv").write_text("filename,joy\na,0.5\n")
    return add_labels(site.labels, tmp_path / "labels.csv", str(tmp_path / "corpus")).snapshot


def test_all_is_well(site):
    assert list(start_notes(site)) == []


def test_scans_without_a_champion_will_fail(site):
    (note,) = start_notes(Setup(site.corpus, site.results, site.labels))
    assert note.startswith("note: scans fail until there is such a model: models:/emi@champion")


def test_labels_that_came_while_no_server_ran_are_not_forgotten(site, tmp_path):
    snapshot = labelled(site, tmp_path)
    (note,) = start_notes(site)
    assert "label snapshot 1 led to no decision yet" in note
    row = {name: TYPED[str(DECISIONS_SCHEMA.field(name).type)] for name in DECISIONS_SCHEMA.names}
    row |= {"snapshot": snapshot}
    create_store(site.labels).record(DECISIONS, "d", register_table(DECISIONS, [row]))
    assert list(start_notes(site)) == []


def test_what_cannot_be_found_out_is_said(site):
    (note,) = start_notes(Setup(site.corpus, site.results, "/none", "/m"))
    assert note.startswith("note: /none")


def test_which_model_scores_is_said(site):
    assert scorer_line(site, "EMI_MODEL") == (
        "scans score with /m, as EMI_MODEL says, whatever is promoted later; without it the "
        "champion scores"
    )
    free = Setup(site.corpus, site.results, site.labels)
    assert scorer_line(free, "--model") == (
        "scans score with the champion, models:/emi@champion (there is none yet)"
    )
