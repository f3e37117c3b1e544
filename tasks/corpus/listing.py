"""The corpus: which clips a source holds."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path

from emi_model.errors import CorpusError
from tasks.corpus.clips import ClipFile, readable
from tasks.corpus.features.arrays import FEATURE_SUFFIXES
from tasks.corpus.features.folders import feature_files, feature_folder
from tasks.corpus.features.tables import is_feature_table
from tasks.corpus.manifest import MANIFEST_SUFFIXES, Named, read_manifest
from tasks.corpus.objects import statuses, storage_errors
from tasks.corpus.passed_over import PassedOver, in_words, kind_passed_over, system_kind
from tasks.storage.folder import StoredFile, recordable_ns
from tasks.storage.open import child, is_remote, open_folder


def list_clips(
    source: str, limit: int | None = None, passed: PassedOver | None = None
) -> list[ClipFile]:
    """List a source's clips, sorted by clip id.

    Args:
        source: a folder, searched at any depth for media suffixes; one file; or a manifest
            (`tasks.corpus.manifest.read_manifest`); on a disk or in a bucket. Without any media: a
            folder of features, ``.npz`` or ``.npy``, one a clip, or a table of them
            (`tasks.corpus.features`), on a disk.
        limit: take only so many, the first by clip id.
        passed: receives the counts of files in a folder or bucket that are no clips.

    Raises:
        CorpusError: no such source, no media in it, a manifest that cannot be read, or a storage
            that does not answer.
    """
    path = Path(source)
    passed = PassedOver() if passed is None else passed
    if is_remote(source):
        clips = sorted(_objects(source, passed)) or _one_or_manifest(source, limit)
    elif path.is_dir():
        clips = sorted(_walk(path, passed)) or _featured(path, passed)
        if not clips:
            found = f"; passed over {in_words(passed)}" if passed else ""
            raise CorpusError(f"{source}: no media file in this folder or below it{found}")
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
        first = next(_objects(source, PassedOver()), None)
    else:
        first = next(_walk(path, PassedOver()), None) if path.is_dir() else None
    if first is None:
        list_clips(source, limit=1)


def holds_few(source: str, most: int) -> bool:
    """Return whether a folder or file on a disk holds at most so many clips, without listing all.

    Of a bucket or a manifest this would take too long to find out: then it is false.
    """
    path = Path(source)
    if is_remote(source) or not path.exists() or source.lower().endswith(MANIFEST_SUFFIXES):
        return False
    if path.is_file():
        return most > 0
    return len(list(islice(_walk(path, PassedOver()), most + 1))) <= most


def holds_features(source: str) -> bool:
    """Return whether the clips of a source are features that others computed, and no media."""
    path = Path(source)
    if is_remote(source) or not path.exists():
        return False
    if path.is_dir():
        return next(_walk(path, PassedOver()), None) is None and bool(_featured(path, PassedOver()))
    is_one = path.suffix.lower().removeprefix(".") in FEATURE_SUFFIXES
    return is_one or is_feature_table(source)


def _featured(folder: Path, passed: PassedOver) -> list[ClipFile]:
    """Return the files of features, and no longer count them among what is passed over."""
    clips = [clip_file(name, os.fsencode(file)) for name, file in feature_files(folder)]
    passed -= Counter(Path(clip.clip_id).suffix.lower() for clip in clips)
    return clips


def check_place(source: str) -> None:
    """Check that a source is there; it may still be empty.

    Raises:
        CorpusError: there is no such folder, file or bucket, or it does not answer.
    """
    if is_remote(source):
        with storage_errors():
            next(iter(open_folder(source).files()), None)
    elif not Path(source).exists():
        raise CorpusError(
            f"{source}: no such folder or file, expected one with clips (it may still be empty)"
        )


def _objects(source: str, passed: PassedOver) -> Iterator[ClipFile]:
    """Yield the media files below a prefix of a bucket."""
    with storage_errors():
        folder = open_folder(source)
        for file in folder.files():
            kind = kind_passed_over(file.name)
            if kind is not None:
                passed[kind] += 1
            else:
                yield _stored(file.name, child(folder.uri, file.name), file)


def _one_or_manifest(source: str, limit: int | None) -> list[ClipFile]:
    """Return the clips of what is no folder."""
    path = Path(source)
    one = clip_file(path.name, os.fsencode(source if is_remote(source) else path))
    if one.size is None:
        raise CorpusError(f"{source}: no media file below it, and no object of this name")
    if not source.lower().endswith(MANIFEST_SUFFIXES):
        return [one]
    if is_feature_table(source):
        return _featured(feature_folder(source), PassedOver())
    return _located(sorted(read_manifest(source))[:limit])


def _located(named: Sequence[Named]) -> list[ClipFile]:
    """Return the clips that a manifest names, with size and time of their files and objects."""
    uris = {clip: os.fsdecode(clip.path) for clip in named if is_remote(os.fsdecode(clip.path))}
    found = statuses(list(uris.values()))
    return [
        _stored(clip.clip_id, uris[clip], found[uris[clip]]) if clip in uris else clip_file(*clip)
        for clip in named
    ]


def _stored(clip_id: str, uri: str, file: StoredFile | None) -> ClipFile:
    if file is None:
        return ClipFile(clip_id, os.fsencode(uri), None, None)
    return ClipFile(clip_id, os.fsencode(uri), file.size, recordable_ns(file.modified_ns))


def _walk(root: Path, passed: PassedOver) -> Iterator[ClipFile]:
    """Yield the media files below a folder; links to folders are followed once."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(os.fsencode(root), onerror=_stop, followlinks=True):
        status = os.stat(folder)  # noqa: PTH116 - bytes paths: any name, also undecodable ones
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        kinds = {name: system_kind(os.fsdecode(name)) for name in folders}
        passed.update(kind for kind in kinds.values() if kind is not None)
        folders[:] = [name for name, kind in kinds.items() if kind is None]
        folders.sort()  # which of two ways to a folder is taken must not change
        for name in files:
            kind = kind_passed_over(os.fsdecode(name))
            if kind is not None:
                passed[kind] += 1
            else:
                path = os.path.join(folder, name)  # noqa: PTH118 - bytes paths
                yield clip_file(readable(os.path.relpath(path, os.fsencode(root))), path)


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
    """Return a file or object as a listed clip, its path absolute.

    One that is not there has no size and no time.

    Raises:
        CorpusError: a storage does not answer.
    """
    uri = os.fsdecode(path)
    if is_remote(uri):
        return _stored(clip_id, uri, statuses([uri])[uri])
    here = os.getcwdb()  # noqa: PTH109 - bytes paths; workers have another current folder
    for named in dict.fromkeys((path, *_composed(uri))):
        spelled = os.path.join(here, named)  # noqa: PTH118
        try:
            status = os.stat(spelled)  # noqa: PTH116 - bytes paths
        except (OSError, ValueError):  # ValueError: a NUL in the name
            continue
        return ClipFile(clip_id, spelled, status.st_size, recordable_ns(status.st_mtime_ns))
    return ClipFile(clip_id, os.path.join(here, path), None, None)  # noqa: PTH118


def _composed(path: str) -> Iterator[bytes]:
    """Yield a path with its accents composed both ways, as disks and programs differ in it."""
    if not path.isascii():
        yield os.fsencode(unicodedata.normalize("NFC", path))
        yield os.fsencode(unicodedata.normalize("NFD", path))
