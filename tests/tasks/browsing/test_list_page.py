"""The list in words and numbers, read back against SQL."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tasks.browsing.application import Opened
from tasks.browsing.listing import ROWS_A_PAGE
from tasks.store.query import answer
from tasks.store.store import ResultsStore, create_store
from tests.tasks.browsing.reading import Read

Browse = Callable[..., TestClient]


def shown(client: TestClient, **query: Any) -> Read:
    found = client.get("/", params=query)
    assert found.status_code == 200, found.text
    return Read(found.text)


def rows_of(opened: Opened, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in answer(opened.location, sql).to_pylist()]


def test_rows_are_those_of_sql(browsed: TestClient, large: Opened) -> None:
    page = shown(browsed, sort="-joy", status="scored")
    sql = "FROM scores WHERE status = 'scored'"
    (total,) = rows_of(large, f"SELECT count(*) {sql}")
    assert page.text("count") == f"1 to 50 of {total[0]}"
    wanted = rows_of(
        large, f"SELECT clip_id, joy, valence {sql} ORDER BY joy DESC, clip_id LIMIT 50"
    )
    place = {name: number for number, name in enumerate(page.headings())}
    found = [(row[0], row[place["Joy ▼"]], row[place["Valence"]]) for row in page.rows()]
    assert found == [(clip, f"{joy:.2f}", f"{valence:.2f}") for clip, joy, valence in wanted]
    assert [one["aria-sort"] for one in page.every("th") if "aria-sort" in one] == ["descending"]


def test_pages_tile_the_list(browsed: TestClient, large: Opened) -> None:
    page, seen = shown(browsed), list[str]()
    while True:
        assert len(page.rows()) <= ROWS_A_PAGE
        seen += [row[0] for row in page.rows()]
        link = page.links().get("Next page")
        if link is None:
            break
        page = Read(browsed.get(link).text)
    assert seen == [clip for (clip,) in rows_of(large, "SELECT clip_id FROM scores ORDER BY 1")]
    beyond = shown(browsed, page=10**8)
    assert beyond.rows() == page.rows()
    assert "Page before" in beyond.links()


def test_facets_count_and_narrow(browsed: TestClient, large: Opened) -> None:
    page = shown(browsed)
    counted = dict(rows_of(large, "SELECT reason, count(*) FROM rejections GROUP BY 1"))
    links = page.links()
    for reason, number in counted.items():
        narrowed = Read(browsed.get(links[f"{reason} {number}"]).text)
        assert narrowed.text("count") == f"1 to {number} of {number}"
        assert {row[1].split()[0] for row in narrowed.rows()} == {reason}
        (chosen,) = [one for one in narrowed.every("a") if one.get("aria-current") == "true"]
        assert chosen["href"] == "/", "a second click takes it back"
    silent = rows_of(large, "SELECT count(*) FROM scores WHERE list_contains(flags, 'silent')")
    assert f"silent {silent[0][0]}" in links
    alone = rows_of(large, "SELECT count(*) FROM clips WHERE condition = 'alone'")
    assert links[f"alone {alone[0][0]}"] == "/?m.condition=alone"
    both = shown(browsed, **{"m.condition": "alone", "labelled": "yes", "q": "SPEAKER00002"})
    sql = (
        "SELECT count(*) FROM clips SEMI JOIN labels USING (clip_id) "
        "WHERE condition = 'alone' AND contains(clip_id, 'speaker00002')"
    )
    ((number,),) = rows_of(large, sql)
    assert number > 0
    assert both.text("count") == f"1 to {number} of {number}"
    nothing = shown(browsed, reason="refused", status="scored")
    assert nothing.text("count").startswith("No clip fits all of this.")
    assert "refused 0" in nothing.links()


def test_null_is_a_value(browsed: TestClient, large: Opened) -> None:
    ((number,),) = rows_of(large, "SELECT count(*) FROM scores WHERE len(flags) = 0")
    page = shown(browsed, flags="")
    assert page.text("count") == f"1 to 50 of {number}"
    ((number,),) = rows_of(large, "SELECT count(*) FROM scores WHERE reason IS NULL")
    assert page.links()["Show all clips"] == "/"
    assert shown(browsed, reason="").text("count") == f"1 to 50 of {number}"


def test_a_condition_and_a_select_narrow_the_list(browsed: TestClient, large: Opened) -> None:
    page = shown(browsed, sql="joy > 0.6 AND valence > 0.4")
    wanted = rows_of(
        large, "SELECT clip_id FROM scores WHERE joy > 0.6 AND valence > 0.4 ORDER BY 1"
    )
    assert len(wanted) > 50
    assert page.text("count") == f"1 to 50 of {len(wanted)}"
    assert [row[0] for row in page.rows()] == [clip for (clip,) in wanted[:50]]
    sql = (
        "SELECT clip_id, joy - valence AS gap, 7 AS joy, 1 AS place_in_answer "
        "FROM scores WHERE joy > 0.6 ORDER BY 2 DESC"
    )
    page = shown(browsed, sql=sql)
    wanted = rows_of(large, sql)
    assert [row[0] for row in page.rows()] == [row[0] for row in wanted[:50]], "in its own order"
    place = page.headings().index("gap")
    assert [row[place] for row in page.rows()] == [f"{row[1]:.3f}" for row in wanted[:50]]
    assert page.headings().count("Joy") == 1, "a column of ours is shown as it is"
    joined = shown(browsed, sql="FROM timeline", sort="-joy")
    ((number,),) = rows_of(large, "SELECT count(DISTINCT clip_id) FROM timeline")
    assert joined.text("count") == f"1 to 50 of {number}", "a clip is listed once"


def test_an_answer_without_clips_is_a_table(browsed: TestClient, large: Opened) -> None:
    sql = "SELECT reason, count(*) AS clips, NULL AS none FROM rejections GROUP BY 1 ORDER BY 1"
    page = shown(browsed, sql=sql)
    assert page.headings() == ["reason", "clips", "none"]
    assert page.rows() == [[reason, f"{n}", "-"] for reason, n, _ in rows_of(large, sql)]
    many = shown(browsed, sql="SELECT range AS n FROM range(120)", page=3)
    assert [row[0] for row in many.rows()] == [str(number) for number in range(100, 120)]
    assert many.links()["Page before"].endswith("page=2")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT joi FROM scores", 'Referenced column "joi" not found in FROM clause!'),
        ("joi > 1", 'Referenced column "joi" not found'),
        ("SELECT FROM scores WHERE", "syntax error"),
        ("DROP TABLE scores", "the store is read only"),
        ("SELECT 1; SELECT 2", "found 2 statements"),
        ("1 = 1; COPY scores TO 'x.csv'", "found 2 statements"),
        ("SELECT * FROM read_csv('/etc/passwd')", "a question reads no files"),
        ("clip_id IN (SELECT content FROM read_text('/etc/passwd'))", "a question reads no files"),
    ],
)
def test_wrong_sql_is_one_line(browsed: TestClient, sql: str, words: str) -> None:
    found = browsed.get("/", params={"sql": sql})
    assert found.status_code == 400
    (said,) = Read(found.text).texts("p", role="alert")
    assert words in said
    assert "LINE 1" not in said
    assert Read(found.text).text("sql") == " ".join(sql.split()), "it can be mended"


def test_a_question_that_takes_too_long_is_ended(
    browsed: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.browsing.asked.QUESTION_SECONDS", 0.05)
    slow = "SELECT sum(hash(range)) AS clip_id FROM range(100000000000)"
    (said,) = Read(browsed.get("/", params={"sql": slow}).text).texts("p", role="alert")
    assert said.startswith("the question takes more than 0 s")


def test_an_old_model_is_shown_when_asked_for(
    browse: Browse, store: ResultsStore, commit: Callable[..., None], make_stamp: Callable[..., Any]
) -> None:
    commit("part1", "a.mp4", "b.mp4", value=0.2)
    commit("part2", "a.mp4", stamp=make_stamp(model="newer", model_sha256="bb"), value=0.9)
    client = browse(store.location)
    assert [row[0] for row in shown(client).rows()] == ["a.mp4"], "the newest model is current"
    links = shown(client).links()
    assert {"tiny aa 2", "newer bb 1"} <= links.keys()
    other = Read(client.get(links["tiny aa 2"]).text)
    note = "another model: tiny aa, first"
    assert [row[0] for row in other.rows()] == [f"a.mp4 {note}", f"b.mp4 {note}"]


def test_an_empty_store_says_what_to_do_and_refresh_finds_what_came(
    browse: Browse, tmp_path: Path, commit: Callable[..., None], store: ResultsStore
) -> None:
    client = browse(store.location)
    page = shown(client)
    assert page.text("count").startswith("The store holds no clip yet: emi process CORPUS")
    commit("part1", "a.mp4")
    assert shown(client).rows() == []
    page = Read(client.get(shown(client, q="a").links()["Refresh"]).text)
    assert [row[0] for row in page.rows()] == ["a.mp4"]
    commit("part2", "ab.mp4")
    client.get("/refresh")
    client.get("/refresh")
    assert len(shown(client, q="a").rows()) == 2
    assert shown(browse(create_store(tmp_path / "other").location)).rows() == []


def test_no_copy_of_rows_is_left_on_the_disk(
    browse: Browse, store: ResultsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    client = browse(store.location)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert shown(client).rows() == []


def test_names_are_text_wherever_they_stand(
    browse: Browse, store: ResultsStore, commit: Any
) -> None:
    hostile = "<img src=x onerror=alert(1)>/'\"&{{ 7 * 7 }}</script>.mp4"
    commit("part1", hostile, "b.mp4")
    commit("part2", "c.mp4", reason="unreadable")
    client = browse(store.location)
    for query in ({}, {"q": hostile}, {"sql": f"SELECT clip_id, '{'<b>'}' AS \"<i>\" FROM scores"}):
        found = client.get("/", params=query)
        page = Read(found.text)
        assert hostile in [row[0] for row in page.rows()]
        assert not {"img", "b", "i"} & {tag for tag, _, _ in page.elements}
        assert "49" not in page.rows()[0][0]
    alone = client.get(
        "/", params={"q": '"><img src=x>', "sql": "</textarea><img>", "<img>": "<img>"}
    )
    assert Read(alone.text).every("img") == []


def test_a_question_and_a_page_take_little_time(browsed: TestClient) -> None:
    browsed.get("/")
    began = time.process_time()
    for number in range(1, 6):
        browsed.get("/", params={"page": number, "sort": "-joy"})
    assert (time.process_time() - began) / 5 < 0.1
