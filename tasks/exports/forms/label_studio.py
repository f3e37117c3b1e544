"""Label Studio: a list of tasks with the model's scores as predictions, most uncertain first.

``NAME.config.xml`` beside it is the project's labelling interface: the clip, and a slider a target.
Label Studio shows tasks with the lowest prediction score first, so the score is 1 - uncertainty.
Its JSON export comes back by `emi labels add`. The format: https://labelstud.io/guide/predictions
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from emi_model.errors import ExportError
from tasks.exports.selection import CHOSEN, Selection
from tasks.exports.target import ExportTarget
from tasks.exports.uncertainty import uncertainty_sql
from tasks.exports.xml_text import add_text, as_bytes

LOCAL_FILES = "/data/local-files/?d="
"""Where Label Studio serves the files of its LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT."""

_OWN_SCHEMES = {"s3": "s3", "gs": "gs", "az": "azure-blob"}
_VIDEOS = {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg"}
_MEDIA = "clip"
_DIGITS = 4
_MANY_TASKS = 100_000


def write_label_studio(selection: Selection, target: ExportTarget) -> int:
    """Write tasks and the interface; return how many tasks.

    Raises:
        ExportError: the model has no targets to label.
    """
    if not selection.targets:
        raise ExportError("the store's model has no targets, so there is nothing to label")
    measure, words = uncertainty_sql(selection)
    targets = ", ".join(f'chosen."{name}"' for name in selection.targets)
    limit = "" if selection.limit is None else f"LIMIT {selection.limit}"
    sql = (
        f"SELECT clip_id, chosen.uri, chosen.model, chosen.model_sha256, {targets}, "
        f"measured.uncertainty FROM (FROM {CHOSEN} WHERE status = 'scored') AS chosen "
        f"LEFT JOIN ({measure}) AS measured USING (clip_id) "
        f"ORDER BY measured.uncertainty DESC NULLS LAST, clip_id {limit}"
    )
    number, is_video = 0, False
    path = target.folder / target.file
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write("[")
        for batch in selection.batches(sql):
            for row in batch.to_pylist():
                file.write(",\n" if number else "\n")
                task = _task(row, selection, target.media_url, words)
                json.dump(task, file, ensure_ascii=False, allow_nan=False)
                is_video |= PurePosixPath(row["clip_id"]).suffix.lower() in _VIDEOS
                number += 1
            selection.advance(batch.num_rows)
        file.write("\n]\n")
    target.beside("config.xml").write_bytes(_interface(selection, is_video=is_video))
    _count(selection, number, words)
    return number


def _count(selection: Selection, number: int, words: str) -> None:
    (found,) = selection.rows(f"SELECT count(*) AS n FROM {CHOSEN} WHERE status = 'rejected'")
    selection.leave_out("rejected, so no scores", found["n"])
    selection.notes.append(f"uncertain is a clip by {words}")
    if number > _MANY_TASKS:
        selection.notes.append(
            f"{number} tasks: Label Studio advises {_MANY_TASKS} a project (--limit)"
        )


def _task(
    row: Mapping[str, Any], selection: Selection, media_url: str | None, words: str
) -> dict[str, Any]:
    uncertainty = row["uncertainty"]
    known = {} if uncertainty is None else {"uncertainty": round(uncertainty, _DIGITS)}
    prediction: dict[str, Any] = {
        "model_version": f"{row['model']}@{row['model_sha256'][:12]}",
        "score": 1.0 if uncertainty is None else round(1 - uncertainty, _DIGITS),
        "result": [
            {
                "id": name,
                "from_name": name,
                "to_name": _MEDIA,
                "type": "number",
                "value": {"number": round(float(row[name]), _DIGITS)},
            }
            for name in selection.targets
            if row[name] is not None
        ],
    }
    data = {_MEDIA: _address(row, media_url), "clip_id": row["clip_id"], **known}
    return {"data": {**data, "uncertain_by": words}, "predictions": [prediction]}


def _address(row: Mapping[str, Any], media_url: str | None) -> str:
    """Return where Label Studio finds a clip: in its bucket, or below a beginning."""
    scheme, separator, rest = row["uri"].partition("://")
    if media_url is None and separator and scheme in _OWN_SCHEMES:
        return f"{_OWN_SCHEMES[scheme]}://{rest}"
    return f"{media_url or LOCAL_FILES}{quote(row['clip_id'])}"


def _interface(selection: Selection, *, is_video: bool) -> bytes:
    root = ElementTree.Element("View")
    kind = "Video" if is_video else "Audio"
    add_text(root, kind, name=_MEDIA, value=f"${_MEDIA}")
    for name in selection.targets:
        add_text(root, "Header", value=name.replace("_", " ").capitalize())
        bounds = {"min": "0", "max": "1", "step": "0.01", "slider": "true"}
        add_text(root, "Number", name=name, toName=_MEDIA, **bounds)
    return as_bytes(root)
