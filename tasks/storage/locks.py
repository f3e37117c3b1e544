"""Locks between processes: a lock of the kernel, or a file where the file system has none.

    FILE        locked with flock while a process holds it; the kernel releases it when that ends
    FILE.held   made instead where flock is refused (Lustre, NFS without locks, some FUSE): it names
                host and process, and is removed at the end

A file that a killed process of this host left is taken over. Whether a process of another host
still runs cannot be seen from here, so its file is named to the user.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL})
"""Errors of flock that mean: this file system has no locks."""

HELD_SUFFIX = ".held"
_POLL_SECONDS = 0.05
ELSEWHERE_SECONDS = 60.0
"""How long a lock that a process of another host holds is waited for."""

Holder = dict[str, Any]
"""Host, process id, and when the process began, as the kernel counts it."""


class LockHeld(OSError):
    """Another process holds a lock.

    Attributes:
        who: names it in brackets, after a blank, where it is known; else empty.
    """

    def __init__(self, path: Path, who: str = "") -> None:
        """Take the lock's file, and who holds it."""
        super().__init__(f"{path}: another process holds it{who}")
        self.who = who


@contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock, on a file that is made if it is absent; must not be nested in itself.

    Args:
        path: of the file; its folder is there.
        wait: until it is free; else raise at once.

    Raises:
        LockHeld: another process holds it, and is not waited for, or is of another host.
        OSError: the file cannot be opened or made.
    """
    with path.open("a+") as file, ExitStack() as stack:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise LockHeld(path) from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            stack.enter_context(_held(path.with_name(path.name + HELD_SUFFIX), wait))
        yield


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock on a file; not if the file is absent."""
    try:
        # opened for writing: NFS refuses an exclusive lock otherwise
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        holder = _holder(path.with_name(path.name + HELD_SUFFIX))
        return holder is not None and not _is_gone(holder)
    return False


@contextmanager
def _held(file: Path, wait: bool) -> Iterator[None]:
    """Hold a lock by a file that only one process can have made."""
    deadline = time.monotonic() + ELSEWHERE_SECONDS
    while not _made(file):
        holder = _holder(file)
        if holder is None:  # it has just been released
            continue
        if _is_gone(holder):
            _remove_left(file, holder)
            continue
        is_here = holder.get("host") == socket.gethostname()
        if not wait or (not is_here and time.monotonic() > deadline):
            raise LockHeld(file, _words(file, holder, is_here))
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _made(file: Path) -> bool:
    """Make a lock's file with this process in it; False if there is one."""
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        own = {
            "host": socket.gethostname(),
            "process": os.getpid(),
            "began": process_start(os.getpid()),
        }
        opened.write(json.dumps(own) + "\n")
    return True


def _holder(file: Path) -> Holder | None:
    """Return who made a lock's file, empty if it does not say so; None if there is no file."""
    try:
        found = json.loads(file.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return None
    except ValueError:  # just made, or its process died before it wrote
        return {}
    return found if isinstance(found, dict) else {}


def _is_gone(holder: Holder) -> bool:
    """Return whether a holder was a process of this host that has ended."""
    if holder.get("host") != socket.gethostname():
        return False
    process = holder.get("process")
    if not isinstance(process, int) or process <= 0:
        return False
    return holder.get("began") != process_start(process)  # else another process has its number now


def process_start(process: int) -> str:
    """Return when a process began, in the kernel's ticks; tells a number apart that is used again.

    Empty if there is no such process, or it has ended; a constant where no /proc tells.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass  # it is another user's
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    # the program's name, in brackets, may hold blanks: the fields after it are counted
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]


def _remove_left(file: Path, left: Holder) -> None:
    """Remove the file that a dead process left, unless another process has taken over meanwhile."""
    aside = file.with_name(f"{file.name}-{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        file.rename(aside)
        if _holder(aside) != left:  # a living process's, made since we read it: give it back
            with suppress(OSError):
                file.hardlink_to(aside)
        aside.unlink(missing_ok=True)


def _words(file: Path, holder: Holder, is_here: bool) -> str:
    if is_here:
        return f" (process {holder.get('process')} of this machine)"
    who = (
        f"process {holder.get('process')} on {holder.get('host')}" if holder else "unknown process"
    )
    return f" ({who}; if it has ended, remove {file})"
