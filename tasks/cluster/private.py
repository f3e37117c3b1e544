"""Ray on this machine for one process alone: no other user can reach it, no foreign code gets in.

Ray's processes listen on loopback, accept only callers with this process's token, keep their files
in a folder that only this user may enter, and start in that folder instead of the current one.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ray._private import ray_constants
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from emi_model.errors import ClusterError
from tasks.processes.surroundings import in_folder

FOLDER_PREFIX = "emi-ray-"
RAY_FOLDER = "r"
"""Within the private folder, as Ray opens its own folder to everyone."""

MAX_SOCKET_CHARS = 107 if sys.platform == "linux" else 103
"""Length of a socket's path, in bytes."""

IN_USE = "in-use"
"""A file within the folder, locked as long as the process lives that made it."""

LEFT_SECONDS = 3600.0
"""Age from which a folder without that lock was left behind, and is not just being made."""

SESSION_CHARS = len("/session_2026-11-26_18-05-20_280986_4194304/sockets/plasma_store")
MAX_BASE_CHARS = MAX_SOCKET_CHARS - SESSION_CHARS - len(f"/{FOLDER_PREFIX}12345678/{RAY_FOLDER}")

OTHER_PLACES = ("/tmp", "/var/tmp")


@contextmanager
def private_surroundings() -> Iterator[Path]:
    """Yield a new folder, for `RAY_FOLDER`, and make a Ray that is started in the block private.

    The folder is removed after the block, but for a ClusterError: Ray's logs may tell why.

    Settings of the user hold: ``RAY_TMPDIR``, and ``RAY_AUTH_MODE`` with its token.

    Raises:
        ClusterError: no folder is short enough for the paths of Ray's sockets.
    """
    place = short_folder()
    remove_left(Path(place))
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=place))
    own = {ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0"}  # as on macOS: Ray keeps to loopback
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        own["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    before = ray_constants.ENABLE_RAY_CLUSTER
    try:
        ray_constants.ENABLE_RAY_CLUSTER = False  # Ray has read the variable when imported
        # A cluster that is joined later has its own mode and token.
        with (folder / IN_USE).open("w") as mark, _environment(own, restored=("RAY_AUTH_MODE",)):
            _lock(mark)
            _read_token_again()
            yield folder
        shutil.rmtree(folder, ignore_errors=True)
    except BaseException as error:
        if not isinstance(error, ClusterError):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        _read_token_again()


def remove_left(place: Path) -> None:
    """Remove the folders that earlier processes of this user left behind when they were killed."""
    for folder in place.glob(f"{FOLDER_PREFIX}*"):
        try:
            status = folder.lstat()  # never through a link of another user
            if status.st_uid != os.getuid() or time.time() - status.st_mtime < LEFT_SECONDS:
                continue
            with (folder / IN_USE).open() as mark:
                if _lock(mark):
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue


def _lock(mark: TextIO) -> bool:
    """Lock a file for as long as it is open; return False if another process has it locked."""
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def started_in(folder: Path, start: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call Ray's start in another current folder, which its processes and workers take over.

    Workers search the folder in which the driver starts for modules.
    """
    with in_folder(folder):
        return start(*args, **options)


def short_folder() -> str:
    """Return the first folder for temporary files that is short enough and can be written.

    ``RAY_TMPDIR`` is the only one to try, if it is set.

    Raises:
        ClusterError: there is none.
    """
    named = os.environ.get("RAY_TMPDIR")
    tried = [named] if named else [tempfile.gettempdir(), *OTHER_PLACES]
    for place in tried:
        if len(os.fsencode(place)) <= MAX_BASE_CHARS and os.access(place, os.W_OK | os.X_OK):
            return place
    raise ClusterError(
        f"found no folder for Ray's files among {', '.join(tried)}, expected one that can be "
        f"written, with a path of at most {MAX_BASE_CHARS} bytes: set RAY_TMPDIR to it"
    )


@contextmanager
def _environment(own: Mapping[str, str], restored: tuple[str, ...]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in (*own, *restored)}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _read_token_again() -> None:
    """Let Ray's compiled part read mode and token from the environment; it keeps what it read."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
