"""A clip's page: its numbers, its words, why it was rejected."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from tasks.browsing.application import Opened
from tasks.browsing.reasons import FLAG_WORDS, REASON_WORDS
from tasks.schema.outcomes import Flag, Reason
from tasks.schema.tables import LABELS
from tasks.store.query import answer
from tasks.store.store import ResultsStore
from tests.reported import clip_name, write_transcript
from tests.tasks.browsing.reading import Read

Browse = Callable[..., TestClient]
Commit = Callable[..., None]


def clip_of(client: TestClient, clip_id: str, **query: Any) -> Read:
    found = client.get("/clip", params={"clip": clip_id, **query})
    assert found.status_code == 200, found.text
    return Read(found.text)


def data_of(page: Read) -> Any:
    return json.loads(page.texts("script", id="data")[0])


def test_numbers_are_those_of_sql(browsed: TestClient, large: Opened) -> None:
    clip = clip_name(10)
    page = clip_of(browsed, clip)
    (row,) = answer(large.location, f"FROM scores WHERE clip_id = '{clip}'").to_pylist()
    (label,) = answer(large.location, f"FROM labels WHERE clip_id = '{clip}'").to_pylist()
    rows = {cells[0]: cells[1:] for cells in page.rows()}
    assert rows["Joy"] == [f"{label['joy']:.2f}", f"{row['joy']:.2f}"]
    assert rows["Empathic pain"] == [f"{label['empathic_pain']:.2f}", f"{row['empathic_pain']:.2f}"]
    assert rows["Valence"] == ["-", f"{row['valence']:.2f}"]
    assert page.headings() == ["Score", "Label", "generated abababab first"]
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Split of the label"] == "valid"
    assert facts["Sound decoded"] == f"{row['duration_seconds']:.3f} s"
    timeline = answer(
        large.location, f"SELECT * FROM timeline WHERE clip_id = '{clip}' ORDER BY second"
    )
    data = data_of(page)
    assert data["seconds"] == timeline["second"].to_pylist() == list(range(7))
    assert data["vad"]["arousal"] == pytest.approx(timeline["arousal"].to_pylist())
    assert data["media"] is None
    assert page.text("no-media").startswith("The file is not where the store says")


def test_the_way_through_a_list(browsed: TestClient, large: Opened) -> None:
    found = answer(
        large.location, "SELECT clip_id FROM scores ORDER BY joy DESC NULLS LAST LIMIT 3"
    )
    first, second, third = found["clip_id"].to_pylist()
    listed = Read(browsed.get("/", params={"sort": "-joy", "status": "scored"}).text)
    page = Read(browsed.get(listed.links()[second]).text)
    assert page.texts("h1") == [second]
    links = page.links()
    assert links["Back to the list"] == "/?status=scored&sort=-joy"
    assert Read(browsed.get(links["Clip before"]).text).texts("h1") == [first]
    after = Read(browsed.get(links["Next clip"]).text)
    assert after.texts("h1") == [third]
    assert Read(browsed.get(after.links()["Clip before"]).text).texts("h1") == [second]
    assert "Clip before" not in Read(browsed.get(listed.links()[first]).text).links()


def test_model_beside_model(
    browse: Browse, store: ResultsStore, commit: Commit, make_stamp: Callable[..., Any]
) -> None:
    commit("part1", "a.mp4", value=0.25)
    newer = make_stamp(model="newer", model_sha256="bb", coverage="full")
    commit("part2", "a.mp4", stamp=newer, value=0.75, num_windows=2)
    client = browse(store.location)
    page = clip_of(client, "a.mp4")
    assert page.headings()[:3] == ["Score", "newer bb full", "tiny aa first"]
    assert next(row for row in page.rows() if row[0] == "Joy") == ["Joy", "0.75", "0.25"]
    assert data_of(page)["vad"]["valence"] == [0.75, 0.75]
    assert page.rows()[-1][:2] == ["1.0 to 2.0", "0.75"], "the second window"
    older = Read(client.get(page.links()["tiny aa, first"]).text)
    assert data_of(older)["vad"]["valence"] == [0.25, 0.25]
    assert parse_qs(urlsplit(page.links()["tiny aa, first"]).query)["clip_model"] == ["aa"]
    other = make_stamp(model="other", model_sha256="cc", targets=("Anger",))
    commit("part3", "a.mp4", stamp=other)
    page = clip_of(browse(store.location), "a.mp4", clip_model="bb", clip_coverage="full")
    heads = page.headings()
    windows = dict(zip(heads[heads.index("Seconds") :], page.rows()[-1], strict=True))
    assert (windows["Joy"], windows["Anger"]) == ("0.75", "-"), "a score of the other model"


def test_a_rejection_in_plain_words_and_how_to_try_again(
    browse: Browse, store: ResultsStore, commit: Commit
) -> None:
    name = 'it\'s $(touch x); "a"\n<b>.mp4'
    commit("part1", name, reason="no_audio_track", flags=["silent"])
    page = clip_of(browse(store.location), name)
    (told,) = [one for one in page.texts("p") if one.startswith("Rejected")]
    assert told == "Rejected: no_audio_track. The file holds no sound."
    assert any("a word" in one for one in page.texts("p", **{"class": "note"}))
    assert page.texts("li")[0].startswith("silent The sound is nearly silent")
    line = shlex.split(page.text("retry"))
    assert line[:2] == ["printf", "%s\\n"]
    assert json.loads(line[2]) == {"uri": f"file:///c/{name}", "clip_id": name}
    run = ["emi", "process", "retry.jsonl", "--results", store.location, "--rescore"]
    assert line[3:] == [">", "retry.jsonl", "&&", *run]
    assert page.every("b") == []


def test_words_have_their_place(browse: Browse, store: ResultsStore, commit: Commit) -> None:
    commit("part1", "a.mp4", "b.mp4", "c.mp4")
    write_transcript(store, "a.mp4", (1.0, 2.0, "so it"), (4.0, 4.5, "</script><b>is"))
    write_transcript(store, "b.mp4")
    client = browse(store.location)
    page = clip_of(client, "a.mp4")
    words = [one for one in page.every("button") if "data-at" in one]
    assert [one["data-at"] for one in words] == ["1.00", "1.50", "4.00"]
    assert page.text("transcript") == "so it </script><b>is"
    assert page.every("b") == []
    assert "Nobody speaks." in clip_of(client, "b.mp4").texts("p")
    assert "What is said" not in clip_of(client, "c.mp4").texts("h2")


def test_a_clip_that_is_not_there(browsed: TestClient) -> None:
    for path in ("/clip", "/media"):
        for name in ("", "<script>alert(1)</script>"):
            found = browsed.get(path, params={"clip": name})
            assert found.status_code == 404
            assert "<script>alert" not in found.text


@pytest.mark.parametrize("at", ["-1", "x", "99999999999999999999", "1e3", "²"])
def test_a_place_that_is_none(browsed: TestClient, at: str) -> None:
    links = clip_of(browsed, clip_name(3), at=at).links()
    assert not {"Clip before", "Next clip"} & links.keys()


def test_every_reason_and_flag_has_words() -> None:
    assert set(REASON_WORDS) == set(Reason)
    assert set(FLAG_WORDS) == set(Flag)
    assert LABELS == "labels"
