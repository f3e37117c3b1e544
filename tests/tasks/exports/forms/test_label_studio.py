"""Tasks of Label Studio: what a rater sees first, and the ratings on their way back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from emi_model.targets import EMI_TARGETS, column_name
from tasks.exports.export import Chosen, Exported, write_export
from tasks.labels.label_file import read_labels
from tasks.store.store import create_store
from tests.tasks.exports.made_store import CLASH, FOLDED, FORMULA, QUIET, TALK, put_rows, scored_row

Export = Callable[[str], tuple[Path, Exported]]


def tasks_of(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_the_most_uncertain_comes_first(exported: Export) -> None:
    path, done = exported("label-studio")
    tasks = tasks_of(path)
    assert done.left_out == {"rejected, so no scores": 1}
    order = [task["data"]["clip_id"] for task in tasks]
    assert order == [TALK, FORMULA, CLASH, FOLDED, QUIET]
    assert [task["predictions"][0]["score"] for task in tasks] == [0, 0.5, 0.5, 0.75, 1]
    (prediction,) = tasks[0]["predictions"]
    assert prediction["model_version"] == "tiny@aabbccddeeff"
    (joy,) = (one for one in prediction["result"] if one["from_name"] == "joy")
    assert (joy["type"], joy["value"], joy["to_name"]) == ("number", {"number": 0.5}, "clip")
    addresses = [task["data"]["clip"] for task in tasks]
    assert addresses[:2] == ["/data/local-files/?d=a/talk.wav", "/data/local-files/?d=%3D1%2B1.wav"]


def test_the_interface_has_a_control_for_each_result(exported: Export) -> None:
    path, _ = exported("label-studio")
    view = ElementTree.parse(f"{path}.config.xml").getroot()
    controls = {one.attrib["name"] for one in view.findall("Number")}
    assert controls == {column_name(target) for target in EMI_TARGETS}
    media = view.find("Video")  # one of the clips is a video
    assert media is not None
    assert media.attrib == {"name": "clip", "value": "$clip"}


def test_uncertain_is_what_models_differ_in(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store")
    put_rows(store, "p1", [scored_row("a.wav", 0.5), scored_row("b.wav", 0.0)])
    put_rows(store, "p2", [scored_row("a.wav", 0.5), scored_row("b.wav", 0.5)], model_sha256="bb")
    put_rows(store, "p3", [scored_row("c.wav", 0.5, uri="az://box/c.wav")], model_sha256="bb")
    chosen = Chosen(limit=3, media_url="https://media/")
    done = write_export("label-studio", store.location, str(tmp_path / "t.json"), chosen)
    tasks = tasks_of(tmp_path / "t.json")
    found = {task["data"]["clip_id"]: task["predictions"][0]["score"] for task in tasks}
    assert found == {"b.wav": 0.5, "a.wav": 1.0, "c.wav": 1.0}
    assert list(found) == ["b.wav", "a.wav", "c.wav"]
    assert tasks[0]["data"]["clip"] == "https://media/b.wav"
    assert done.notes == ("uncertain is a clip by how much models differ",)


def test_uncertain_is_a_wide_interval(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store")
    narrow = scored_row("a.wav", 0.5, joy_low=0.4, joy_high=0.6, uri="az://box/a.wav")
    put_rows(store, "p1", [narrow, scored_row("b.wav", 0.5, joy_low=0.1, joy_high=0.9)])
    write_export("label-studio", store.location, str(tmp_path / "t.json"))
    tasks = tasks_of(tmp_path / "t.json")
    scores = [(task["data"]["clip_id"], task["predictions"][0]["score"]) for task in tasks]
    assert scores == [("b.wav", pytest.approx(0.2)), ("a.wav", pytest.approx(0.8))]
    assert tasks[1]["data"]["clip"] == "azure-blob://box/a.wav"


def test_ratings_come_back(exported: Export, tmp_path: Path) -> None:
    path, _ = exported("label-studio")
    tasks = tasks_of(path)
    for task in tasks[:2]:  # two people correct what the model says of joy, and leave the rest
        (prediction,) = task.pop("predictions")
        annotations = []
        for joy in (0.25, 0.75):
            result = [dict(one) for one in prediction["result"]]
            result[-1]["value"] = {"number": joy}
            annotations.append({"result": result, "was_cancelled": False})
        task["annotations"] = [*annotations, {"result": [], "was_cancelled": True}]
    (tmp_path / "rated.json").write_text(json.dumps(tasks))
    labels = read_labels(tmp_path / "rated.json")
    assert [row.filename for row in labels.rows] == [TALK, FORMULA]
    assert labels.targets == EMI_TARGETS
    assert labels.rows[1].emi == pytest.approx([0.75, 0.75, 0.75, 0.75, 0.75, 0.5])
    assert labels.rows[1].num_raters == 2
    assert labels.notes == ("a Label Studio export, left out 3 tasks without a rating",)
