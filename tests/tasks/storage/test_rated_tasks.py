"""Label Studio's exports as tables of labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.storage.rated_tasks import is_list_of_tasks, read_rated_tasks
from tasks.storage.table_file import read_table_file


def number(name: str, value: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": "clip", "type": "number", "value": {"number": value}}


def task(data: dict[str, Any], *annotations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"data": data, "annotations": [{"result": one} for one in annotations]}


def as_json(content: Any) -> bytes:
    return json.dumps(content).encode()


def test_a_label_is_the_mean_of_its_ratings() -> None:
    other = {"from_name": "mood", "type": "choices", "value": {"choices": ["x"]}}
    cancelled = {"was_cancelled": True, "result": [number("joy", 1)]}
    first = task({"clip_id": "00012"}, [number("joy", 0), other], [number("joy", 1)])
    first["annotations"].append(cancelled)
    content = [
        first,
        task({"clip_id": "b.wav"}, [number("joy", 0.25), number("awe", 1)]),
        task({"clip_id": "c.wav"}, [other]),
        task({"clip_id": "d.wav"}),
    ]
    found = read_rated_tasks(as_json(content))
    assert found.header == ["filename", "num_raters", "joy", "awe"]
    assert found.rows == [(1, ["00012", "2", "0.5", ""]), (2, ["b.wav", "1", "0.25", "1"])]
    assert found.notes == "a Label Studio export, left out 2 tasks without a rating"


def test_the_minimal_export_has_an_object_an_annotation() -> None:
    content = [
        {"clip": "x", "clip_id": "a.wav", "id": 7, "joy": [{"number": 0.5}], "lead_time": 3.2},
        {"clip": "x", "clip_id": "b.wav", "id": 8, "joy": [{"number": 1}]},
        {"clip": "x", "clip_id": "a.wav", "id": 7, "joy": [{"number": 0.25}]},
    ]
    found = read_rated_tasks(as_json(content))
    assert found.header == ["filename", "num_raters", "joy"]
    assert found.rows == [(1, ["a.wav", "2", "0.375"]), (2, ["b.wav", "1", "1"])]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/local-files/?d=videos/a%20b.wav", "a b.wav"),
        ("s3://box/videos/c.wav", "c.wav"),
        ("https://media/x/d.wav", "d.wav"),
    ],
)
def test_tasks_that_others_made_are_named_by_their_media(address: str, name: str) -> None:
    found = read_rated_tasks(as_json([task({"audio": address}, [number("joy", 1)])]))
    assert found.rows[0][1][0] == name


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"[{", "expected the JSON or JSON-MIN export"),
        (as_json([{}, 3]), "is no list of tasks"),
        (as_json([]), "has 0 tasks and no rating"),
        (
            as_json([task({"clip_id": "a"}, [number("joy", "high"), number("awe", True)])]),
            "no rating",
        ),
        (as_json([{"data": 3, "annotations": [3, {"result": 3}]}]), "has 1 tasks and no rating"),
    ],
)
def test_what_is_no_export(content: bytes, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        read_rated_tasks(content)


def test_the_content_says_what_a_file_is(tmp_path: Path) -> None:
    path = tmp_path / "ratings.txt"
    path.write_bytes(b"\xef\xbb\xbf" + as_json([task({"clip_id": "a"}, [number("joy", 1)])]))
    found = read_table_file(str(path))
    assert (found.counted_in, found.header) == ("task", ["filename", "num_raters", "joy"])
    assert is_list_of_tasks(b" [ ]")
    assert not is_list_of_tasks(b"[name],joy\n")
    assert not is_list_of_tasks(b'[{"uri": "a.mp4"}]')
