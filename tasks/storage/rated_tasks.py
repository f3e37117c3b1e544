"""Ratings that were made in Label Studio: its JSON export, as a table of labels.

Both kinds of export are read: "JSON", tasks with annotations of results, and "JSON-MIN", an object
an annotation. A rating is the value of a control of type number, as the interface of
`emi export label-studio` has them; a target's label is the mean of its ratings. The format:
https://labelstud.io/guide/export
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

_FILENAME, _NUM_RATERS = "filename", "num_raters"
_LIST = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[\s*[{\]]")
_FIELD = re.compile(rb'"(?:data|annotations|completions|annotation_id|annotator)"\s*:')
_CLIP, _CLIP_ID = "clip", "clip_id"


class RatedTask(NamedTuple):
    """A task: its number in the file, its clip, the ratings of each annotation by target."""

    number: int
    clip: str
    annotations: Sequence[Mapping[str, float]]


class RatedTable(NamedTuple):
    """A table of labels: its header, number and cells of each row, how it was read in words."""

    header: list[str]
    rows: list[tuple[int, list[str]]]
    notes: str


def is_list_of_tasks(content: bytes) -> bool:
    """Return whether a file may be an export of Label Studio.

    It is a list of objects in JSON that are named as there, or an empty list.
    """
    if _LIST.match(content) is None:
        return False
    return _FIELD.search(content) is not None or not content.strip(b"\xef\xbb\xbf[] \t\r\n")


def read_rated_tasks(text: bytes) -> RatedTable:
    """Return an export as a table of labels: a row a task, a column a target.

    Raises:
        ValueError: it is none, or nobody rated anything.
    """
    expected = "expected the JSON or JSON-MIN export of a Label Studio project"
    try:
        content = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{error}; {expected}") from error
    if not all(isinstance(one, dict) for one in content):
        raise ValueError(f"is no list of tasks, {expected}")
    tasks = list(_tasks(content) if any("data" in one for one in content) else _minimal(content))
    rated = [task for task in tasks if any(task.annotations)]
    if not rated:
        raise ValueError(f"has {len(tasks)} tasks and no rating of type number, {expected}")
    targets = list(
        dict.fromkeys(name for task in rated for one in task.annotations for name in one)
    )
    notes = "a Label Studio export"
    if len(rated) < len(tasks):
        notes += f", left out {len(tasks) - len(rated)} tasks without a rating"
    rows = [(task.number, _cells(task, targets)) for task in rated]
    return RatedTable([_FILENAME, _NUM_RATERS, *targets], rows, notes)


def _tasks(content: Sequence[Mapping[str, Any]]) -> Iterator[RatedTask]:
    """Yield the tasks of the full export; annotations that were cancelled do not count."""
    for number, task in enumerate(content, 1):
        annotations = task.get("annotations", task.get("completions"))
        found = [one for one in annotations or () if isinstance(one, dict)]
        ratings = [_ratings(one) for one in found if not one.get("was_cancelled")]
        data = task.get("data")
        clip = _clip(data if isinstance(data, dict) else {})
        yield RatedTask(number, clip, [one for one in ratings if one])


def _minimal(content: Sequence[Mapping[str, Any]]) -> Iterator[RatedTask]:
    """Yield the tasks of the minimal export, in which each annotation is an object."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    numbers: dict[str, int] = {}
    for number, one in enumerate(content, 1):
        clip = _clip(one)
        numbers.setdefault(clip, number)
        ratings = {name: _rating(value) for name, value in one.items()}
        found[clip].append({name: value for name, value in ratings.items() if value is not None})
    for clip, rated in found.items():
        yield RatedTask(numbers[clip], clip, [one for one in rated if one])


def _ratings(annotation: Mapping[str, Any]) -> dict[str, float]:
    """Return the ratings of an annotation of the full export by target."""
    results = annotation.get("result")
    found = {
        str(one.get("from_name")): _rating(one.get("value"))
        for one in (results if isinstance(results, list) else ())
        if isinstance(one, dict) and one.get("type") == "number"
    }
    return {name: value for name, value in found.items() if value is not None}


def _rating(value: Any) -> float | None:
    """Return the number of a result, ``{"number": 0.5}``, which may be the only one of a list."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    number = value.get("number") if isinstance(value, dict) else None
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return float(number)


def _clip(data: Mapping[str, Any]) -> str:
    """Return a task's clip: its id, else the name at the end of the address of its media."""
    if isinstance(data.get(_CLIP_ID), str):
        return str(data[_CLIP_ID])
    addresses = [value for value in data.values() if isinstance(value, str) and "/" in value]
    address = data.get(_CLIP) or next(iter(addresses), "")
    return PurePosixPath(unquote(str(address).partition("?d=")[2] or str(address))).name


def _cells(task: RatedTask, targets: Sequence[str]) -> list[str]:
    cells = [task.clip, str(len(task.annotations))]
    for name in targets:
        values = [one[name] for one in task.annotations if name in one]
        cells.append(f"{sum(values) / len(values):.6g}" if values else "")
    return cells
