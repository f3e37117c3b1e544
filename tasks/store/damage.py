"""Damaged parts: found by reading them; named, and passed over by what reads the rest.

A part carries a SHA-256 of all its other bytes, between its pages and its footer, where no reader
of Parquet looks. Parts of earlier versions have none: they count as whole if they can be decoded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.progress import remark
from tasks.storage.folder import Folder
from tasks.storage.open import child
from tasks.store.mirror import local_parts
from tasks.store.paths import Part

_CHECKED_AT_ONCE = 8

_SEAL = b"\nemi sha-256 of all other bytes: "
_DIGEST_BYTES = hashlib.sha256().digest_size
_MAGIC = b"PAR1"
_END_BYTES = 8
"""The length of the footer, 4 bytes, little-endian, and `_MAGIC`."""

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


def sealed(content: bytes) -> bytes:
    """Return a Parquet file with a checksum, which readers of Parquet pass over.

    They find columns by their distance from the file's start, and the footer from its end.
    """
    start = _footer_start(content)
    digest = hashlib.sha256(content).digest()
    return b"".join([content[:start], _SEAL, digest, content[start:]])


def _footer_start(content: bytes) -> int:
    """Return where a Parquet file's footer begins; 0 if its end does not say it."""
    if not content.endswith(_MAGIC):
        return 0
    length = int.from_bytes(content[-_END_BYTES : -len(_MAGIC)], "little")
    return max(0, len(content) - _END_BYTES - length)


def _is_as_sealed(content: bytes) -> bool | None:
    """Return whether a file's checksum is right; None if it has none."""
    start = _footer_start(content) - _DIGEST_BYTES
    pages = max(0, start - len(_SEAL))
    if content[pages:start] != _SEAL:
        return None
    digest = hashlib.sha256(content[:pages])
    digest.update(content[start + _DIGEST_BYTES :])
    return digest.digest() == content[start : start + _DIGEST_BYTES]


def _damage(path: Path, whole: bool) -> str | None:
    try:
        if whole and (is_right := _is_as_sealed(path.read_bytes())) is not None:
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
