"""The corpus: which clips a source holds, and which of them a store has not seen."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from emi_model.errors import CorpusError
from tasks.clips import ClipFile, hash_content
from tasks.results import DoneClip

# fmt: off
MEDIA_SUFFIXES = frozenset(
    {
        "3g2", "3gp", "aac", "aif", "aiff", "amr", "asf", "avi", "caf", "f4v", "flac", "flv",
        "m2ts", "m4a", "m4b", "m4v", "mka", "mkv", "mov", "mp2", "mp3", "mp4", "mpeg", "mpg",
        "mts", "mxf", "oga", "ogg", "ogv", "opus", "ts", "vob", "wav", "weba", "webm", "wma",
        "wmv",
    }
)
# fmt: on
"""File name suffixes, without the dot and in lower case, that a folder is searched for."""

MANIFEST_SUFFIXES = (".csv", ".parquet")


@dataclass
class Plan:
    """What a run has to do.

    Attributes:
        todo: clips to extract and score.
        adopted: clips whose content the store knows under another name: clip and that name.
        num_skipped: clips that are done.
        num_superseded: clips of these whose earlier row in the store they will replace.
    """

    todo: list[ClipFile] = field(default_factory=list)
    adopted: list[tuple[ClipFile, str]] = field(default_factory=list)
    num_skipped: int = 0
    num_superseded: int = 0

    @property
    def num_listed(self) -> int:
        """All clips of the source."""
        return len(self.todo) + len(self.adopted) + self.num_skipped


def list_clips(source: str, limit: int | None = None) -> list[ClipFile]:
    """List a source's clips, sorted by clip id.

    Args:
        source: a folder, searched at any depth for media suffixes; one file; or a manifest, CSV or
            Parquet with a column ``uri`` (paths relative to the manifest, or ``file:`` URIs) and
            optionally ``clip_id``.
        limit: take only so many, the first by clip id.

    Raises:
        CorpusError: no such source, no media in it, or a manifest that cannot be read.
    """
    path = Path(source)
    if path.is_dir():
        clips = sorted(_walk(path))
        if not clips:
            raise CorpusError(f"{source}: no media file in this folder or below it")
        _check_unique(clips)
    elif path.suffix.lower() in MANIFEST_SUFFIXES and path.is_file():
        clips = sorted(_read_manifest(path))
    elif path.is_file():
        clips = [clip_file(path.name, os.fsencode(path))]
    else:
        raise CorpusError(f"{source}: no such folder, file or manifest")
    return clips[:limit]


def check_source(source: str) -> None:
    """Check that a source holds a clip, without listing all of a large folder.

    Raises:
        CorpusError: as `list_clips`.
    """
    path = Path(source)
    if not path.is_dir() or next(_walk(path), None) is None:
        list_clips(source, limit=1)


def plan_clips(
    clips: Iterable[ClipFile], done: Mapping[str, DoneClip], *, rescore: bool = False
) -> Plan:
    """Tell what is done from what is to do.

    A clip is done when the store holds a row for its content. Unchanged size and modification
    time say so without reading it; otherwise its hash decides. A clip whose content has a row
    under another name adopts that row.

    Args:
        clips: the listed clips.
        done: the store's rows under this model and coverage, by clip id.
        rescore: everything is to do.
    """
    plan = Plan()
    sizes = {row.size for row in done.values() if row.content_sha256}
    known = {row.content_sha256: clip_id for clip_id, row in done.items() if row.content_sha256}
    for clip in clips:
        row = done.get(clip.clip_id)
        if row is not None and not rescore and _is_unchanged(clip, row):
            plan.num_skipped += 1
            continue
        worth_reading = clip.size in sizes and not rescore
        content = hash_content(clip.file()) if worth_reading else None
        if row is not None and content is not None and content == row.content_sha256:
            plan.num_skipped += 1
            continue
        plan.num_superseded += row is not None
        if content in known:
            plan.adopted.append((clip, known[content]))
        else:
            plan.todo.append(clip)
    return plan


def _is_unchanged(clip: ClipFile, row: DoneClip) -> bool:
    same = (clip.size, clip.modified_ns) == (row.size, row.modified_ns)
    return same and row.content_sha256 is not None


def _walk(root: Path) -> Iterator[ClipFile]:
    """Yield the media files below a folder; links to folders are followed once."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(os.fsencode(root), onerror=_stop, followlinks=True):
        status = os.stat(folder)  # noqa: PTH116 - bytes paths: any name, also undecodable ones
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()  # which of two ways to a folder is taken must not change
        for name in files:
            _, dot, suffix = os.fsdecode(name).rpartition(".")
            if dot and suffix.lower() in MEDIA_SUFFIXES:
                path = os.path.join(folder, name)  # noqa: PTH118 - bytes paths
                yield clip_file(_printable(os.path.relpath(path, os.fsencode(root))), path)


def _check_unique(clips: Sequence[ClipFile]) -> None:
    """Two names can share a clip id only by bytes that are no text, spelled out in one of them."""
    for one, next_one in pairwise(clips):
        if one.clip_id == next_one.clip_id:
            raise CorpusError(
                f"{one.path!r} and {next_one.path!r} share the clip id {one.clip_id!r}: rename one"
            )


def _stop(error: OSError) -> None:
    """A folder that cannot be listed would take its clips out of the table unseen."""
    raise CorpusError(
        f"{error.filename!r}: cannot be listed ({error.strerror}): make it readable, or name the "
        "clips in a manifest"
    ) from error


def _read_manifest(path: Path) -> Iterator[ClipFile]:
    rows = _manifest_rows(path)
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        uri = row.get("uri")
        if not uri:
            raise CorpusError(f"{path}: row {number} has no uri: expected a column uri, filled")
        clip_id = row.get("clip_id") or uri
        if clip_id in seen:
            raise CorpusError(f"{path}: row {number} repeats {clip_id}: expected every clip once")
        seen.add(clip_id)
        yield clip_file(clip_id, os.fsencode(path.parent / _local_path(uri, path, number)))
    if not seen:
        raise CorpusError(f"{path}: the manifest has no rows")


def _manifest_rows(path: Path) -> list[dict[str, str | None]]:
    try:
        if path.suffix.lower() == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                return list(csv.DictReader(file))
        columns = [c for c in ("uri", "clip_id") if c in pq.read_schema(path).names]
        if "uri" not in columns:
            raise CorpusError(f"{path}: has no column uri: expected one, filled")
        texts = pa.schema([(column, pa.string()) for column in columns])
        table = pq.read_table(path, columns=columns).select(columns).cast(texts)
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise CorpusError(f"{path}: cannot be read as a manifest: {error}") from error
    rows: list[dict[str, str | None]] = table.to_pylist()
    return rows


def _local_path(uri: str, manifest: Path, number: int) -> str:
    scheme = urlsplit(uri).scheme
    if scheme == "file":
        return unquote(urlsplit(uri).path)
    if "://" in uri:
        raise CorpusError(f"{manifest}: row {number}: {scheme}: is not supported, expected files")
    return uri


def clip_file(clip_id: str, path: bytes) -> ClipFile:
    """Return a file as a listed clip; one that is not there has no size and no time."""
    try:
        status = os.stat(path)  # noqa: PTH116 - bytes paths
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return ClipFile(clip_id, path, None, None)
    return ClipFile(clip_id, path, status.st_size, status.st_mtime_ns)


def _printable(path: bytes) -> str:
    return path.decode("utf-8", errors="backslashreplace").replace(os.sep, "/")
