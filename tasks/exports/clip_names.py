"""Names of the files that an export writes for clips: below its folder, one for each clip."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

from emi_model.errors import ExportError
from tasks.exports.selection import CHOSEN, Selection

_FOLDED = r"lower(nfc_normalize(regexp_replace({column}, '\.[^./]*$', '')))"
"""A clip id without its suffix, as file systems compare names that do not tell ``A`` from ``a``."""

_HEX_DIGITS = 8


def note_clashes(selection: Selection) -> None:
    """Note, in the table ``clashing``, which names without suffix more than one clip has."""
    folded = _FOLDED.format(column="clip_id")
    selection.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE clashing AS SELECT {folded} AS folded FROM {CHOSEN} "
        "GROUP BY ALL HAVING count(*) > 1"
    )


def clashes(column: str) -> str:
    """Return the SQL that tells whether a clip shares its name, after `note_clashes`."""
    return f"{_FOLDED.format(column=column)} IN (SELECT folded FROM clashing)"


def file_stem(clip_id: str, *, clashing: bool) -> str:
    """Return the name of a clip's files without a suffix: its path without its own suffix.

    Where several clips would have it, on any file system, some digits of its id's hash follow.

    Raises:
        ExportError: the id leads out of the folder.
    """
    path = PurePosixPath(clip_id)
    parts = clip_id.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or "\0" in clip_id:
        raise ExportError(
            f"the clip {clip_id!r} leads out of the folder, or to no file in it (expected a path "
            "without .. and empty parts): leave it out by --where"
        )
    stem = path.name.rpartition(".")[0]
    if not stem.strip("."):  # of ``...wav``, say: two dots would lead out
        stem = path.name
    if clashing:
        stem += f"-{hashlib.sha256(clip_id.encode()).hexdigest()[:_HEX_DIGITS]}"
    return str(path.with_name(stem))


def write_new(folder: Path, name: str, content: bytes) -> None:
    """Write a file of an export.

    Raises:
        ExportError: there is one of this name, or the disk does not take it.
    """
    path = folder / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError as error:
        raise ExportError(
            f"two clips would be written to {name}: leave one of them out by --where"
        ) from error
    except OSError as error:
        raise ExportError(f"{name}: cannot be written: {error.strerror or error}") from error
