"""Damaged parts: found by reading them; named, and passed over by what reads the rest.

Parts carry a checksum, see `tasks.storage.parquet_files`. Those of earlier versions have none: they
count as whole if they can be decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.progress import remark
from tasks.storage.folder import Folder
from tasks.storage.open import child
from tasks.storage.parquet_files import is_as_sealed
from tasks.store.mirror import local_parts
from tasks.store.paths import Part

_CHECKED_AT_ONCE = 8

_NAMED = 10


class Damage(NamedTuple):
    """A part that cannot be read as it was written, and why, in a line."""

    part: Part
    why: str


def damaged_parts(folder: Folder, parts: Sequence[Part], *, whole: bool = False) -> list[Damage]:
    """Return those of some parts that are damaged.

    Args:
        folder: of the store.
        parts: of any tables.
        whole: read them whole and compare their checksums; else only the footers.

    Raises:
        PartsChanged: a compaction removed one of them; only of a store in a bucket.
        OSError: a part may not be read, or the bucket does not answer.
    """

    def check(part: Part) -> Damage | None:
        why = _damage(root / part.file, whole)
        return None if why is None else Damage(part, why)

    with local_parts(folder, parts) as root, ThreadPoolExecutor(_CHECKED_AT_ONCE) as pool:
        return [found for found in pool.map(check, parts) if found is not None]


def without_damaged(folder: Folder, parts: Sequence[Part], *, whole: bool = False) -> list[Part]:
    """Return parts without the damaged ones, and name those to the user; as `damaged_parts`."""
    damaged = damaged_parts(folder, parts, whole=whole)
    for found in damaged[:_NAMED]:
        remark(
            f"{child(folder.uri, found.part.file)}: damaged part, passed over ({found.why}): "
            "`emi verify` names its clips, and mends the store with --repair"
        )
    if len(damaged) > _NAMED:
        remark(f"{folder.uri}: {len(damaged)} damaged parts, passed over: see `emi verify`")
    left_out = {found.part for found in damaged}
    return [part for part in parts if part not in left_out]


def _damage(path: Path, whole: bool) -> str | None:
    try:
        if whole:
            with path.open("rb") as content:
                is_right = is_as_sealed(content)
            if is_right is not None:
                return None if is_right else "it was changed after it was written"
        with pq.ParquetFile(path) as file:
            return _decoded(file) if whole else None
    except FileNotFoundError:  # compacted away since it was listed
        return None
    except (OSError, ValueError, pa.ArrowException) as error:
        if getattr(error, "errno", None) is not None:  # the disk's, not about what was read
            raise
        return _line(error) if path.stat().st_size else "an empty file"


def _line(error: Exception) -> str:
    """Return the first line of an error of Arrow's, without the path that it may begin with."""
    first = str(error).partition("\n")[0]
    return first.rpartition("': ")[2].strip().rstrip(".:")[:200] or type(error).__name__


def _decoded(file: pq.ParquetFile) -> str | None:
    """Decode all pages; return what is wrong with the number of rows, if it is."""
    num_rows = 0
    for batch in file.iter_batches():
        batch.validate(full=True)
        num_rows += batch.num_rows
    return None if num_rows == file.metadata.num_rows else "the number of rows was changed"
