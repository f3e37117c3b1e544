"""Files in a bucket as DuckDB and Arrow read them: named in advance, nothing else, never written.

Both ask a file system for a file's size and time again and again, and read a small file in several
pieces: some twenty requests a file and query (measured). What the listing said is known here, and
small files are fetched once, whole and many at a time.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]

from tasks.storage.buckets import BucketFolder
from tasks.store.paths import Part, PartsChanged

SCHEME = "store"

SMALL_BYTES = 8 * 2**20
MAX_KEPT_BYTES = 256 * 2**20
"""Small files are kept until they come to so much; what is beyond is read piece by piece."""

TAIL_BYTES = 2**16
"""Of the end of a large file, where Parquet has its index."""

REQUESTS_AT_ONCE = 16


class BucketFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Some files of a folder in a bucket, for reading; a path is a name, with or without scheme."""

    protocol = SCHEME
    cachable = False

    def __init__(self, folder: BucketFolder, parts: Iterable[Part]) -> None:
        """Take the folder and what its listing said of some files."""
        super().__init__()
        self._folder = folder
        self._files = {part.file: part for part in parts}
        self._kept: dict[str, bytes] = {}
        self._tails: dict[str, bytes] = {}
        self._fetched: set[str] = set()
        self._lock = threading.Lock()
        self._vanished = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Raise `PartsChanged` in place of whatever a file that was taken away leads to."""
        try:
            yield
        except Exception as error:
            if self._vanished:
                raise PartsChanged(
                    f"{self._folder.uri}: files were compacted away while they were read: try again"
                ) from error
            raise

    def glob(self, path: str, **_: Any) -> list[str]:
        """Return the one file of this name; patterns are none."""
        name = self._strip_protocol(path)
        return [name] if name in self._files else []

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return a file's size; FileNotFoundError for any other."""
        part = self._part(path)
        kept = self._kept.get(part.file)
        size = part.size if kept is None else len(kept)  # a run's record may have been replaced
        return {"name": part.file, "size": size, "type": "file"}

    def modified(self, path: str) -> datetime:
        """Return a file's modification time."""
        return datetime.fromtimestamp(self._part(path).modified_ns / 1e9, UTC)

    def open(self, path: str, mode: str = "rb", **_: Any) -> io.IOBase:
        """Return a file, open for reading in binary mode."""
        part = self._part(path)
        if mode != "rb":
            raise PermissionError(f"{self._folder.uri}/{part.file}: is only read here")
        self._fetch_small(part.table)
        kept = self._kept.get(part.file)
        return self.pieces(part) if kept is None else io.BytesIO(kept)

    def pieces(self, part: Part) -> io.RawIOBase:
        """Return a file of which no more is fetched than what is read."""
        return _Pieces(self, part)

    def read_range(self, part: Part, start: int, end: int) -> bytes:
        """Return some bytes of a large file; its end is fetched once."""
        tail_start = max(0, part.size - TAIL_BYTES)
        if start < tail_start:
            return self._read(part.file, start, end)
        if part.file not in self._tails:
            self._tails[part.file] = self._read(part.file, tail_start, part.size)
        return self._tails[part.file][start - tail_start : end - tail_start]

    def _part(self, path: str) -> Part:
        name = self._strip_protocol(path)
        if name not in self._files:
            raise FileNotFoundError(f"{self._folder.uri}/{name}: there is no such file")
        return self._files[name]

    def _fetch_small(self, table: str) -> None:
        """Fetch all small files of a table, the first time that one of them is asked for."""
        with self._lock:
            if table in self._fetched:
                return
            names, room = [], MAX_KEPT_BYTES - sum(map(len, self._kept.values()))
            for part in self._files.values():
                if part.table == table and part.size <= min(SMALL_BYTES, room):
                    names.append(part.file)
                    room -= part.size
            with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
                self._kept |= zip(names, pool.map(self._read, names), strict=True)
            self._fetched.add(table)

    def _read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        try:
            if start is None or end is None:
                return self._folder.read(name)
            return self._folder.read_range(name, start, end)
        except FileNotFoundError:
            self._vanished = True
            raise


class _Pieces(io.RawIOBase):
    """A large file, read in pieces as they are asked for."""

    def __init__(self, files: BucketFiles, part: Part) -> None:
        self._source = files
        self._part = part
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._part.size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        end = min(self._place + len(buffer), self._part.size)
        if end <= self._place:
            return 0
        piece = self._source.read_range(self._part, self._place, end)
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)
