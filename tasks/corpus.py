"""The corpus: which clips a source holds, and which of them a store has not seen."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from emi_model.cores import available_cores
from emi_model.errors import CorpusError
from tasks.bucket_clips import READERS, statuses, storage_errors
from tasks.clips import ClipFile, hash_clip
from tasks.folders import StoredFile, child, is_remote, open_folder
from tasks.manifest import MANIFEST_SUFFIXES, Named, read_manifest
from tasks.results import DoneClip
from tasks.threads import spread

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
        source: a folder, searched at any depth for media suffixes; one file; or a manifest
            (`tasks.manifest.read_manifest`); on a disk or in a bucket.
        limit: take only so many, the first by clip id.

    Raises:
        CorpusError: no such source, no media in it, a manifest that cannot be read, or a storage
            that does not answer.
    """
    path = Path(source)
    if is_remote(source):
        clips = sorted(_objects(source)) or _one_or_manifest(source, limit)
    elif path.is_dir():
        clips = sorted(_walk(path))
        if not clips:
            raise CorpusError(f"{source}: no media file in this folder or below it")
        _check_unique(clips)
    elif path.is_file():
        clips = _one_or_manifest(source, limit)
    else:
        raise CorpusError(f"{source}: no such folder, file or manifest")
    return clips[:limit]


def check_source(source: str) -> None:
    """Check that a source holds a clip, without listing all of a large folder or manifest.

    Raises:
        CorpusError: as `list_clips`.
    """
    path = Path(source)
    if is_remote(source):
        first = next(_objects(source), None)
    else:
        first = next(_walk(path), None) if path.is_dir() else None
    if first is None:
        list_clips(source, limit=1)


def plan_clips(
    clips: Sequence[ClipFile], done: Mapping[str, DoneClip], *, rescore: bool = False
) -> Plan:
    """Tell what is done from what is to do.

    A clip is done when the store holds a row for its content. Unchanged size and modification
    time say so without reading it; otherwise its hash decides, if a row has its size. A clip whose
    content has a row under another name adopts that row. So does an object with an own row of
    another time: the next run need not fetch it to see that it is the same.

    Args:
        clips: the listed clips.
        done: the store's rows under this model and coverage, by clip id.
        rescore: everything is to do.

    Raises:
        CorpusError: a storage does not answer.
    """
    plan = Plan()
    new = [clip for clip in clips if rescore or not _is_unchanged(clip, done.get(clip.clip_id))]
    plan.num_skipped = len(clips) - len(new)
    sizes = {row.size for row in done.values() if row.content_sha256}
    contents = {} if rescore else _contents(new, sizes)
    known = {row.content_sha256: clip_id for clip_id, row in done.items() if row.content_sha256}
    for clip in new:
        row, content = done.get(clip.clip_id), contents.get(clip.clip_id)
        is_same = row is not None and content is not None and content == row.content_sha256
        if is_same and not clip.is_remote:
            plan.num_skipped += 1
            continue
        plan.num_superseded += row is not None
        if content in known:
            plan.adopted.append((clip, clip.clip_id if is_same else known[content]))
        else:
            plan.todo.append(clip)
    return plan


def _is_unchanged(clip: ClipFile, row: DoneClip | None) -> bool:
    if row is None or row.content_sha256 is None:
        return False
    return (clip.size, clip.modified_ns) == (row.size, row.modified_ns)


def _contents(clips: Sequence[ClipFile], sizes: Container[int | None]) -> dict[str, str | None]:
    """Return the hashes of clips that have one of these sizes; None for what cannot be read."""
    worth = [clip for clip in clips if clip.size is not None and clip.size in sizes]
    threads = READERS if any(clip.is_remote for clip in worth) else available_cores()
    hashes = spread(worth, lambda: nullcontext(hash_clip), threads=threads)
    return dict(zip((clip.clip_id for clip in worth), hashes, strict=True))


def _objects(source: str) -> Iterator[ClipFile]:
    """Yield the media files below a prefix of a bucket."""
    with storage_errors():
        folder = open_folder(source)
        for file in folder.files():
            if _is_media(file.name):
                yield _stored(file.name, child(folder.uri, file.name), file)


def _one_or_manifest(source: str, limit: int | None) -> list[ClipFile]:
    """Return the clips of what is no folder."""
    path = Path(source)
    one = clip_file(path.name, os.fsencode(source if is_remote(source) else path))
    if one.size is None:
        raise CorpusError(f"{source}: no media file below it, and no object of this name")
    if not source.lower().endswith(MANIFEST_SUFFIXES):
        return [one]
    return _located(sorted(read_manifest(source))[:limit])


def _located(named: Sequence[Named]) -> list[ClipFile]:
    """Return clips that a manifest names, with what is known of their files and objects."""
    uris = {clip: os.fsdecode(clip.path) for clip in named if is_remote(os.fsdecode(clip.path))}
    found = statuses(list(uris.values()))
    return [
        _stored(clip.clip_id, uris[clip], found[uris[clip]]) if clip in uris else clip_file(*clip)
        for clip in named
    ]


def _stored(clip_id: str, uri: str, file: StoredFile | None) -> ClipFile:
    if file is None:
        return ClipFile(clip_id, os.fsencode(uri), None, None)
    return ClipFile(clip_id, os.fsencode(uri), file.size, file.modified_ns)


def _is_media(name: str) -> bool:
    _, dot, suffix = name.rpartition(".")
    return bool(dot) and suffix.lower() in MEDIA_SUFFIXES


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
            if _is_media(os.fsdecode(name)):
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


def clip_file(clip_id: str, path: bytes) -> ClipFile:
    """Return a file or object as a listed clip; one that is not there has no size and no time.

    Raises:
        CorpusError: a storage does not answer.
    """
    uri = os.fsdecode(path)
    if is_remote(uri):
        return _stored(clip_id, uri, statuses([uri])[uri])
    try:
        status = os.stat(path)  # noqa: PTH116 - bytes paths
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return ClipFile(clip_id, path, None, None)
    return ClipFile(clip_id, path, status.st_size, status.st_mtime_ns)


def _printable(path: bytes) -> str:
    return path.decode("utf-8", errors="backslashreplace").replace(os.sep, "/")
