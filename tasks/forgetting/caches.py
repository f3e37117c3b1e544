"""What this machine keeps in `EMI_HOME` of clips: audio, features, copies of stores in buckets."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from emi_model.errors import StoreError
from emi_model.modalities import AUDIO
from tasks.corpus.features.folders import FEATURES_FOLDER, INDEX_FILE, FeatureIndex
from tasks.extraction.registry import NAMED
from tasks.forgetting.wanted import WantedClips
from tasks.home import home
from tasks.labels.cache_files import name_hash
from tasks.labels.labelled_clips import CACHE_FOLDER
from tasks.storage.local import LocalFolder
from tasks.store.mirror import remove_versions
from tasks.store.writers import ORPHAN_SECONDS

Staying = Callable[[], Collection[str]]

_TRAINING = "training"
_GRIDS = ("comparisons", "ablations")
"""Folders of `_TRAINING` with a folder for each grid of trainings, which stays when it is done."""

_LOCK = ".lock"
"""Begins the names of files by which a process has such a folder for itself."""


def cached_files(wanted: WantedClips, staying: Staying) -> list[Path]:
    """Return the files of these clips: cached audio, inputs, outputs of encoders, features.

    What a clip that stays has in common with one of these is not among them.

    Args:
        wanted: the clips.
        staying: returns the ids of the clips that stay; called where there are features.
    """
    of_contents = [path for folder in _caches() for path in _of(folder, wanted)]
    features = (files.values() for _, files in _features(wanted, staying))
    return [*of_contents, *chain.from_iterable(features)]


def empty_caches(wanted: WantedClips, staying: Staying, *, of_bucket: bool) -> None:
    """Remove these files, and what cannot be told apart by clip.

    That is what comparisons keep of frozen backbones, by the sound, and copies of parts of stores
    in buckets. Both are made again where they are needed.

    Args:
        wanted: the clips.
        staying: returns the ids of the clips that stay; called where there are features.
        of_bucket: whether a store is in a bucket.

    Raises:
        StoreError: `EMI_HOME` cannot be written.
    """
    try:
        for folder in _caches():
            if folder.name.startswith(f"{AUDIO}-frames-") and wanted.own_contents:
                shutil.rmtree(folder)
                continue
            for path in _of(folder, wanted):
                path.unlink(missing_ok=True)
        _remove_left()
        for folder, files in _features(wanted, staying):
            for path in files.values():
                path.unlink(missing_ok=True)
            index = {name: file for name, file in _index(folder).items() if name not in files}
            content = json.dumps(index, ensure_ascii=False).encode()
            LocalFolder(folder).write(INDEX_FILE, content)
        if of_bucket:
            remove_versions()
    except OSError as error:
        raise StoreError(f"{home()}: caches cannot be emptied: {error}") from error


def unfinished_trainings() -> list[Path]:
    """Return the folders of trainings that were stopped or run yet: they may learn from the clips.

    One that is done leaves no state, of a grid an empty folder.
    """
    of_one = (path for path in (home() / _TRAINING).glob("*") if path.name not in _GRIDS)
    of_grids = (path for grids in _GRIDS for path in (home() / _TRAINING / grids).glob("*"))
    return sorted(path for path in chain(of_one, of_grids) if _has_state(path))


def _has_state(folder: Path) -> bool:
    return any(path.is_file() and not path.name.startswith(_LOCK) for path in folder.rglob("*"))


def _caches() -> list[Path]:
    return sorted(path for path in (home() / CACHE_FOLDER).glob("*") if path.is_dir())


def _of(folder: Path, wanted: WantedClips) -> Iterator[Path]:
    """Yield the files of some clips, those that are being written among them.

    Where inputs depend on names, clips that stay may have the same content, but not the same file.
    """
    if NAMED in folder.name:
        names = [*map(name_hash, wanted.clip_ids)]
        of_contents = (path for one in sorted(wanted.contents) for path in _files(folder, one))
        yield from (path for path in of_contents if any(name in path.name for name in names))
        return
    for content in sorted(wanted.own_contents):
        yield from _files(folder, content)


def _files(folder: Path, content: str) -> Iterator[Path]:
    for begun in (f"{content}.*", f"{content}-*", f".{content}-*"):
        yield from (folder / content[:2]).glob(begun)


def _remove_left() -> None:
    """Remove what killed processes left of the index of a table, or of one that they laid out."""
    for path in (home() / FEATURES_FOLDER).glob(f"*/.{INDEX_FILE}-*"):
        path.unlink(missing_ok=True)
    oldest = time.time() - ORPHAN_SECONDS  # others may still be written
    for path in (home() / FEATURES_FOLDER).glob(".*"):
        if path.is_dir() and path.stat().st_mtime < oldest:
            shutil.rmtree(path)


def _features(wanted: WantedClips, staying: Staying) -> Iterator[tuple[Path, dict[str, Path]]]:
    """Yield each folder of a table that was laid out with files of these clips, by their names."""
    indices = sorted((home() / FEATURES_FOLDER).glob(f"*/{INDEX_FILE}"))
    stay = staying() if indices else ()
    for index in indices:
        found = FeatureIndex(index.parent)
        kept = {found.of(clip_id) for clip_id in stay}
        gone = {found.of(clip_id) for clip_id in wanted.clip_ids} - kept
        places = {name: index.parent / file for name, file in _index(index.parent).items()}
        files = {name: place for name, place in places.items() if place in gone}
        if files:
            yield index.parent, files


def _index(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
    return found
