"""Finds the file of a clip that a store names, in a corpus or where its row says that it lies."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from urllib.parse import unquote_to_bytes

from tasks.corpus.clips import ClipFile
from tasks.corpus.listing import check_place, clip_file
from tasks.corpus.manifest import MANIFEST_SUFFIXES, read_manifest
from tasks.storage.open import child, is_remote

_FILE_URI = "file://"


class ClipFinder:
    """Finds clips of one corpus by their ids."""

    def __init__(self, corpus: str) -> None:
        """Take a folder, file, bucket or manifest.

        Raises:
            CorpusError: it is not there, or does not answer.
        """
        check_place(corpus)
        self._corpus = corpus
        self._named: dict[str, bytes] | None = None

    def find(self, clip_id: str) -> ClipFile | None:
        """Return a clip's file; None if its id leads out of the corpus, or names nothing in it.

        Raises:
            CorpusError: the storage of the clip does not answer.
        """
        if self._corpus.lower().endswith(MANIFEST_SUFFIXES) and not Path(self._corpus).is_dir():
            if self._named is None:
                self._named = dict(read_manifest(self._corpus))
            path = self._named.get(clip_id)
            return None if path is None else clip_file(clip_id, path)
        parts = PurePosixPath(clip_id)
        if parts.is_absolute() or ".." in parts.parts or "\0" in clip_id:
            return None
        if is_remote(self._corpus):
            return clip_file(clip_id, os.fsencode(child(self._corpus, clip_id)))
        root = Path(self._corpus)
        if root.is_dir():
            return clip_file(clip_id, os.fsencode(root / clip_id))
        return clip_file(clip_id, os.fsencode(root)) if root.name == clip_id else None


def clip_at(clip_id: str, uri: str) -> ClipFile | None:
    """Return the file or object that a row names as that of its clip; None if it names none.

    Raises:
        CorpusError: its storage does not answer.
    """
    if uri.startswith(_FILE_URI):
        path = unquote_to_bytes(uri.removeprefix(_FILE_URI))
        return clip_file(clip_id, path) if path.startswith(b"/") else None
    return clip_file(clip_id, os.fsencode(uri)) if is_remote(uri) else None
