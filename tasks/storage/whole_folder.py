"""Folders on a disk that are there whole or not at all, whoever makes them at the same time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path


def made_whole(target: Path, last: str, write: Callable[[Path], None]) -> Path:
    """Return a folder; where it is not there, make it aside and rename it.

    Args:
        target: the folder.
        last: a file of it that is there only if it is whole.
        write: makes and fills the folder that it is given; not called if the folder is there.

    Raises:
        OSError: the disk does not take it.
    """
    if (target / last).is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as aside:
        complete = Path(aside, "whole")
        write(complete)
        try:
            complete.rename(target)
        except OSError:
            if not (target / last).is_file():  # else another process was faster
                raise
    return target
