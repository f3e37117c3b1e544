"""The files of clips that are played: those that the store names, if they are what was scored."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock

from emi_model.errors import EmiError
from tasks.corpus.clips import ClipFile, hash_content
from tasks.corpus.fetching import Local
from tasks.corpus.finding import ClipFinder, clip_at
from tasks.extraction.rows import local_file

MAX_FETCHED = 4
"""Clips of a bucket that are kept on this machine while the page is open."""

MAX_HASHES = 10_000

# fmt: off
_SOUND: Mapping[str, str] = {
    "aac": "audio/aac", "flac": "audio/flac", "m4a": "audio/mp4", "m4b": "audio/mp4",
    "mp3": "audio/mpeg", "oga": "audio/ogg", "ogg": "audio/ogg", "opus": "audio/ogg",
    "wav": "audio/wav", "wave": "audio/wav", "weba": "audio/webm",
}
_PICTURES: Mapping[str, str] = {
    "avi": "video/x-msvideo", "m4v": "video/mp4", "mkv": "video/x-matroska", "mov": "video/mp4",
    "mp4": "video/mp4", "ogv": "video/ogg", "webm": "video/webm",
}
# fmt: on
UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class Playable:
    """A clip's file, or why there is none.

    Attributes:
        path: of the file on this machine; None: it cannot be played.
        media_type: of its content, by its suffix.
        size: bytes.
        why_not: a sentence, where there is no path.
    """

    path: Path | None = None
    media_type: str = UNKNOWN_TYPE
    size: int = 0
    why_not: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether it holds no picture, as far as its suffix says it."""
        return self.media_type.startswith("audio/")


class PlayableFiles:
    """Finds the files of clips; a store by somebody else opens no other file of this machine."""

    def __init__(self, corpus: str | None) -> None:
        """Take a corpus; None: clips are where the store says.

        Raises:
            CorpusError: it is not there, or does not answer.
        """
        self._finder = None if corpus is None else ClipFinder(corpus)
        self._hashes: dict[tuple[Path, int | None, int | None], str | None] = {}
        self._fetched: OrderedDict[str, tuple[Local, ExitStack]] = OrderedDict()
        self._lock = Lock()

    def find(self, clip_id: str, uri: str, content_sha256: str | None) -> Playable:
        """Return the file of a clip.

        Args:
            clip_id: of the clip.
            uri: where its row says that it lies.
            content_sha256: of the file that was read when the row was made.
        """
        if content_sha256 is None:
            return Playable(why_not="The file could not be read when the row was made.")
        try:
            clip = self._finder.find(clip_id) if self._finder else clip_at(clip_id, uri)
            if clip is None or clip.size is None:
                return Playable(why_not=self._gone())
            with self._lock:
                local = self._fetch(clip) if clip.is_remote else self._local(clip)
        except EmiError as error:
            return Playable(why_not=f"The file cannot be fetched: {error}")
        if local is None or local.content_sha256 is None:
            return Playable(why_not="The file is there, but cannot be read.")
        if local.content_sha256 != content_sha256:
            return Playable(
                why_not="The file was changed since the scores were made, so it is not played."
            )
        return Playable(local.path, media_type_of(clip_id), local.size or 0)

    def close(self) -> None:
        """Remove the clips that were fetched."""
        with self._lock:
            while self._fetched:
                self._fetched.popitem()[1][1].close()

    def _gone(self) -> str:
        if self._finder is None:
            return (
                "The file is not where the store says: it was moved or removed. "
                "`emi browse --corpus DIR` finds clips in another folder."
            )
        return "The file is not in the corpus that --corpus names: it was moved or removed."

    def _local(self, clip: ClipFile) -> Local:
        path = clip.file()
        key = (path, clip.size, clip.modified_ns)
        if key not in self._hashes:
            if len(self._hashes) >= MAX_HASHES:
                self._hashes.clear()
            self._hashes[key] = hash_content(path)
        return Local(path, self._hashes[key], clip.size, clip.modified_ns)

    def _fetch(self, clip: ClipFile) -> Local | None:
        """Return an object's copy on this machine; the least recently played are removed."""
        key = f"{clip.uri}\n{clip.size}\n{clip.modified_ns}"
        if key in self._fetched:
            self._fetched.move_to_end(key)
            return self._fetched[key][0]
        while len(self._fetched) >= MAX_FETCHED:
            self._fetched.popitem(last=False)[1][1].close()
        with ExitStack() as stack:
            local = stack.enter_context(local_file(clip))
            if not isinstance(local, Local):
                return None
            self._fetched[key] = (local, stack.pop_all())
        return local


def media_type_of(name: str) -> str:
    """Return the type of a file that a browser may play, by its suffix."""
    suffix = PurePosixPath(name).suffix.lower().removeprefix(".")
    return _SOUND.get(suffix) or _PICTURES.get(suffix, UNKNOWN_TYPE)
