"""Finds ffmpeg and runs it within limits."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence

import imageio_ffmpeg

from emi_model.errors import MediaToolError
from tasks.processes.bounded import Finished, run_bounded

_VERSION_SECONDS = 30.0
_VERSION_BYTES = 64 * 1024


def find_ffmpeg() -> str:
    """Return the ffmpeg to run: ``EMI_FFMPEG`` (a path or a name) if set, else the wheel's.

    Raises:
        MediaToolError: None can be executed.
    """
    wanted = os.environ.get("EMI_FFMPEG")
    if wanted:
        found = shutil.which(wanted)
        if found is None:
            raise MediaToolError(
                f"found EMI_FFMPEG={wanted!r}, expected an executable; correct or unset it"
            )
        return found
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise MediaToolError(
            "found no ffmpeg, expected the one of the imageio-ffmpeg wheel; "
            "reinstall imageio-ffmpeg or set EMI_FFMPEG to an executable"
        ) from error


def ffmpeg_version() -> str:
    """Return the version that ffmpeg states, such as ``7.1`` or ``n9.0.2-17-g2a571b6068``.

    Raises:
        MediaToolError: There is no ffmpeg, or ``EMI_FFMPEG`` is another program.
    """
    executable = find_ffmpeg()
    finished = run_ffmpeg([executable, "-version"], _VERSION_SECONDS, _VERSION_BYTES)
    stated = re.match(r"ffmpeg version (\S+)", finished.stdout.decode("utf-8", errors="replace"))
    if stated is None:
        raise MediaToolError(
            f"found {executable!r} that states no version, expected ffmpeg; set EMI_FFMPEG to one"
        )
    return stated[1]


def run_ffmpeg(command: Sequence[str], timeout_seconds: float, max_stdout_bytes: int) -> Finished:
    """Run a command of ffmpeg within limits of time and output.

    Raises:
        MediaToolError: It cannot be started.
    """
    try:
        return run_bounded(
            command, timeout_seconds=timeout_seconds, max_stdout_bytes=max_stdout_bytes
        )
    except OSError as error:
        raise MediaToolError(
            f"found {command[0]!r} that cannot be started ({error.strerror}), expected ffmpeg; "
            "set EMI_FFMPEG to a working one"
        ) from error
