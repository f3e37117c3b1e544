"""Features by clip: which file of a folder is whose; a table is laid out as such a folder once.

    <EMI_HOME>/features/1f0c.../emi-index.json       name of each clip and its file
    <EMI_HOME>/features/1f0c.../3a91....npz      the clip's rows

The folder is named by the table's content, and is complete where its index is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from emi_model.errors import CorpusError
from tasks.corpus.features.arrays import FEATURE_SUFFIXES
from tasks.corpus.features.tables import is_feature_table, read_clip_tables
from tasks.corpus.passed_over import MEDIA_SUFFIXES
from tasks.home import home
from tasks.storage.folder import is_of_system
from tasks.storage.open import is_remote
from tasks.storage.whole_folder import made_whole

FEATURES_FOLDER = "features"
INDEX_FILE = "emi-index.json"
_NAME_CHARS = 24


def feature_folder(reference: str) -> Path:
    """Return the folder of files of features, one a clip, that a folder or table stands for.

    Raises:
        CorpusError: it is neither, or holds no features.
    """
    path = Path(reference).expanduser().absolute()
    if is_remote(reference):
        raise CorpusError(f"{reference}: features are read from a disk: copy them to a folder")
    if path.is_dir():
        if next(feature_files(path), None) is None:
            raise CorpusError(
                f"{reference}: found no .npz or .npy in this folder, expected one a clip"
            )
        return path
    if not path.is_file():
        raise CorpusError(f"{reference}: no such folder or table of features")
    return _laid_out(path)


def feature_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and file of each clip's features, by name; a name is the path below the folder.

    Of a table that was laid out, a name is what the table calls the clip.
    """
    index = folder / INDEX_FILE
    if index.is_file():
        for name, file in sorted(json.loads(index.read_text(encoding="utf-8")).items()):
            yield name, folder / file
        return
    found = []
    for root, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not is_of_system(name)]
        found += [Path(root, name) for name in files if _is_features(name)]
    for path in sorted(found):
        yield path.relative_to(folder).as_posix(), path


def _is_features(name: str) -> bool:
    return not name.startswith("._") and name.lower().endswith(
        tuple(f".{suffix}" for suffix in FEATURE_SUFFIXES)
    )


class FeatureIndex:
    """The files of a folder by every name that a clip may be known by."""

    def __init__(self, folder: Path) -> None:
        """Read which files there are."""
        self._whole: dict[str, Path] = {}
        bare: dict[str, list[tuple[str, Path]]] = {}
        for name, path in feature_files(folder):
            plain = _plain(name)
            self._whole.setdefault(_composed(name), path)
            self._whole.setdefault(plain, path)
            bare.setdefault(PurePosixPath(plain).name, []).append((plain, path))
        self._bare = bare
        self.num_files = sum(map(len, bare.values()))

    def of(self, clip_id: str) -> Path | None:
        """Return the file of a clip: by its whole path, else the only one whose path ends alike.

        ``7.npz`` is of ``a/7.mp4``, and ``x/a/7.npz`` too; ``b/7.npz`` is of another clip, which a
        corpus of several speakers or splits may have. Suffixes of media and of features do not
        count.
        """
        plain = _plain(clip_id)
        found = self._whole.get(_composed(clip_id)) or self._whole.get(plain)
        if found is not None:
            return found
        named = self._bare.get(PurePosixPath(plain).name, [])
        alike = [path for name, path in named if _end_alike(name, plain)]
        return alike[0] if len(alike) == 1 else None


@cache
def feature_index(folder: Path) -> FeatureIndex:
    """Return the index of a folder, which is read once a process."""
    return FeatureIndex(folder)


def _end_alike(one: str, other: str) -> bool:
    """Return whether one of two paths is the end of the other."""
    shorter, longer = sorted((PurePosixPath(one).parts, PurePosixPath(other).parts), key=len)
    return longer[-len(shorter) :] == shorter


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _plain(name: str) -> str:
    """Return a name without the suffix of media or features, composed as in NFC."""
    stem, dot, suffix = _composed(name).rpartition(".")
    known = suffix.lower() in MEDIA_SUFFIXES or suffix.lower() in FEATURE_SUFFIXES
    return stem if dot and stem and known else _composed(name)


def _laid_out(table: Path) -> Path:
    """Return the folder of a table, which is made if it is not there.

    Raises:
        CorpusError: it is no table of features, or the disk does not take it.
    """
    if not is_feature_table(str(table)):
        list(read_clip_tables(table))  # says what is wrong with it
        raise CorpusError(f"{table}: expected a table of features, .parquet, .csv or .tsv")
    with table.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    folder = home() / FEATURES_FOLDER / sha256[:_NAME_CHARS]
    try:
        return made_whole(folder, INDEX_FILE, partial(_write, table))
    except OSError as error:
        raise CorpusError(
            f"{folder}: features cannot be written ({error}): make room, or set EMI_HOME to "
            "another folder"
        ) from error


def _write(table: Path, folder: Path) -> None:
    folder.mkdir()
    index = {}
    for clip in read_clip_tables(table):
        name = hashlib.sha256(clip.name.encode()).hexdigest()[:_NAME_CHARS]
        file = folder / f"{name}.npz"
        arrays: dict[str, Any] = {"values": clip.values, "time": clip.times, "rate": clip.rate}
        given = {name: found for name, found in arrays.items() if found is not None}
        with file.open("wb") as content:
            np.savez(content, **given)
        index[clip.name] = file.name
    (folder / INDEX_FILE).write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")
