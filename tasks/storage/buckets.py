"""Object storage: S3, Google Cloud Storage, Azure, through one client.

Endpoint and credentials come from the environment that each cloud's own tools read:
``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``,
``AWS_REGION``; ``GOOGLE_APPLICATION_CREDENTIALS``; ``AZURE_STORAGE_ACCOUNT_NAME``,
``AZURE_STORAGE_ACCOUNT_KEY``; else from the machine's own identity in that cloud. A variable that
is empty, as compose files set those without a value, counts as not set.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
)
from obstore.store import ObjectStore, from_url

from tasks.storage.folder import CHUNK_BYTES, StoredFile, UnfitName

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig

MAX_RETRIES = 5
BUCKET_RETRY_SECONDS = 60
"""The client repeats a request no longer than this; with `MAX_RETRIES` mostly 3 s."""

BUSY_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Between further attempts where the storage asks to come again, about; others share it."""

ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""Variables that may name a server; http:// means a connection without TLS."""

OF_CLOUDS = ("AWS_", "AZURE_", "GOOGLE_")
"""How the variables begin that the client reads."""

_ADDRESS = re.compile("https?://[!-~]+", re.IGNORECASE)

READ_TIMEOUT_SECONDS = 30
"""A connection without data for so long is closed, and the request is repeated."""

REQUEST_SECONDS = 3600
"""Limit of one request, even while data comes: a large object takes long."""

# Codes by which S3 refuses the caller, not the object.
_CALLER = re.compile(
    "<Code>(InvalidAccessKeyId|SignatureDoesNotMatch|RequestTimeTooSkewed|InvalidToken|"
    "ExpiredToken|AllAccessDisabled|AccountProblem)</Code>"
)
_REQUEST = re.compile(r"^.*?Error performing [A-Z]+ (\w+://[^/\s]+)\S* in .*? - ")
_MAX_CHARS = 300
# Answers that the client does not wait for, or for 3 s at most: throttled, another request at the
# same moment, an answer that was cut off.
_PASSES = re.compile(r"status code: (409|429|503)|response body")

_Found = TypeVar("_Found")


class BucketFolder:
    """A prefix of a bucket; an object is there whole or not at all.

    Attributes:
        uri: ``s3://BUCKET/PREFIX``.
    """

    def __init__(self, uri: str) -> None:
        """Take a prefix, which need not hold an object yet.

        Raises:
            OSError: a setting is missing, such as the account of ``az://``, or a server's address
                is none.
        """
        self.uri = uri.rstrip("/")
        scheme, _, place = self.uri.partition("://")
        bucket, _, prefix = place.partition("/")
        if not bucket or "//" in place:
            raise UnfitName(f"{uri}: names no bucket, or has an empty part")
        self._prefix = f"{prefix}/" if prefix else ""
        with _errors(self.uri):
            self._store = _store(scheme.lower(), bucket)

    def files(self, below: str = "") -> Iterator[StoredFile]:
        """Yield the objects below it; a list that is cut off goes on after the last one."""
        prefix = (self._prefix + below).rstrip("/")
        last = None
        pauses = iter(BUSY_PAUSES_SECONDS)
        while True:
            try:
                with _errors(self.uri):
                    for page in obstore.list(self._store, prefix=prefix or None, offset=last):
                        for meta in page:
                            last = meta["path"]
                            # some consoles make a folder by an object with the folder's own name
                            if f"{last}/" != self._prefix:
                                yield self._stored(meta)
                return
            except OSError as error:
                _wait(error, pauses)

    def exists(self, name: str) -> bool:
        """Return whether there is an object of this name."""
        return self.status(name) is not None

    def status(self, name: str) -> StoredFile | None:
        """Return an object's size, time and tag; None if there is none."""
        try:
            return self._stored(self._ask(lambda: obstore.head(self._store, self._prefix + name)))
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        """Return an object's content; FileNotFoundError if there is none."""
        return self._ask(lambda: bytes(obstore.get(self._store, self._prefix + name).bytes()))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield an object's content piece by piece; FileNotFoundError if there is none."""
        found = self._ask(lambda: obstore.get(self._store, self._prefix + name))
        with _errors(self.uri):
            for piece in found.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(piece)

    def write(self, name: str, content: bytes) -> None:
        """Put an object, in place of an earlier one."""
        with self._put_errors():
            self._ask(lambda: obstore.put(self._store, self._prefix + name, content))

    def send(self, name: str, file: Path) -> None:
        """Put an object that is a file of this machine, a large one part by part."""
        with self._put_errors():
            self._ask(lambda: obstore.put(self._store, self._prefix + name, file))

    def create(self, name: str, content: bytes) -> None:
        """Put a new object by a conditional request; FileExistsError if there is another.

        "Exists" may be the answer to a repeated request whose first answer was lost, or to one that
        came at the same moment as another's, of which neither need have been stored. So the object
        is read: these bytes are a success, and where there is none the request is repeated.
        """
        pauses = iter(BUSY_PAUSES_SECONDS)
        with self._put_errors():
            while True:
                try:
                    with _errors(self.uri):
                        self._put_new(name, content)
                    return
                except OSError as error:
                    try:
                        found = self.read(name)
                    except FileNotFoundError:
                        _wait(error, pauses)
                        continue
                    except OSError:
                        raise error from None
                    if found == content:
                        return
                    place = self._prefix + name
                    raise FileExistsError(f"{self.uri}: {place} is there already") from error

    def remove(self, name: str) -> None:
        """Delete an object; nothing if there is none."""
        with suppress(FileNotFoundError):
            self._ask(lambda: obstore.delete(self._store, self._prefix + name))

    def _put_new(self, name: str, content: bytes) -> None:
        obstore.put(self._store, self._prefix + name, content, mode="create", use_multipart=False)

    def _ask(self, request: Callable[[], _Found]) -> _Found:
        """Return the answer to a request, which is repeated while the storage is busy."""
        pauses = iter(BUSY_PAUSES_SECONDS)
        while True:
            try:
                with _errors(self.uri):
                    return request()
            except OSError as error:
                _wait(error, pauses)

    def _stored(self, meta: ObjectMeta) -> StoredFile:
        name = meta["path"].removeprefix(self._prefix)
        # whole seconds: some servers give a finer time in a list than for a single object
        modified_ns = int(meta["last_modified"].timestamp()) * 10**9
        return StoredFile(name, meta["size"], modified_ns, meta["e_tag"] or "")

    @contextmanager
    def _put_errors(self) -> Iterator[None]:
        """Name the missing bucket where the storage answers a new object by "not found"."""
        try:
            with _errors(self.uri):
                yield
        except FileNotFoundError as error:
            raise OSError(f"{self.uri}: there is no such bucket") from error


def _wait(error: OSError, pauses: Iterator[float]) -> None:
    """Wait before a request is repeated; raise its error if it will not pass, or has not."""
    pause = next(pauses, None)
    cause = error.__cause__
    if pause is None or not (isinstance(cause, AlreadyExistsError) or _PASSES.search(str(cause))):
        raise error
    time.sleep(pause * random.uniform(0.5, 1.5))  # others were refused at the same moment


@cache
def _store(scheme: str, bucket: str) -> ObjectStore:
    """Return the client of a whole bucket: its connections are shared by all folders in it."""
    _forget_empty_variables()
    client: ClientConfig = {
        "allow_http": urlsplit(_endpoint(scheme)).scheme == "http",
        "read_timeout": timedelta(seconds=READ_TIMEOUT_SECONDS),
        "timeout": timedelta(seconds=REQUEST_SECONDS),
    }
    retry: RetryConfig = {
        "max_retries": MAX_RETRIES,
        "retry_timeout": timedelta(seconds=BUCKET_RETRY_SECONDS),
    }
    store: ObjectStore = from_url(f"{scheme}://{bucket}", client_options=client, retry_config=retry)
    return store


def _forget_empty_variables() -> None:
    """Remove empty settings: the client would send an empty token, or take "" for an address."""
    for name, value in list(os.environ.items()):
        if name.startswith(OF_CLOUDS) and not value:
            os.environ.pop(name, None)


def _endpoint(scheme: str) -> str:
    """Return the address of the server that the environment names; empty if it names none.

    Raises:
        OSError: it is no address, for which the client would panic.
    """
    names = ENDPOINTS.get(scheme, ())
    named = {name: os.environ[name] for name in names if os.environ.get(name)}
    for name, address in named.items():
        if not _is_address(address):
            raise OSError(f"{name} is {address!r}, expected an address as http://HOST:PORT")
    return next(iter(named.values()), "")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(_ADDRESS.fullmatch(text) and parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        return False


@contextmanager
def _errors(uri: str) -> Iterator[None]:
    """Turn the client's errors into OSError of one line, as a disk gives them."""
    try:
        yield
    except FileNotFoundError as error:
        message = str(error).partition(": Error performing")[0]
        raise FileNotFoundError(f"{uri}: {message}") from error
    except (InvalidPathError, ValueError) as error:
        raise UnfitName(f"{uri}: {_message(error)}") from error
    except BaseError as error:
        # the client raises no PermissionDeniedError where a list is refused
        refused = isinstance(error, PermissionDeniedError) or "code: 403 Forbidden" in str(error)
        kind = PermissionError if refused and not _CALLER.search(str(error)) else OSError
        raise kind(f"{uri}: {_message(error)}") from error


def _message(error: Exception) -> str:
    """Return a storage's error message without markup; of the request, the server's address."""
    message = re.sub("<[^>]*>", " ", str(error).partition("\n\nDebug source")[0])
    return _REQUEST.sub(r"\1: ", " ".join(message.split()))[:_MAX_CHARS].rstrip(": ")
