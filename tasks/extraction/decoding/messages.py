"""What ffmpeg said: its errors without paths and addresses, and which files it did not finish."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from tasks.processes.bounded import Finished

_LOG_PREFIX = re.compile(r"\[[^\]]* @ [^\]]*\]\s*")
_NAMED_INPUT = re.compile(r"\[in#(\d+)")
# Picture codecs outside the whitelist, outputs that ffmpeg did not open: no reason to report.
_EXPECTED = re.compile(r"not on whitelist|Error opening output|Last message repeated")
_ENDED_EARLY = re.compile(
    r"Error during demuxing|Error retrieving a packet|Packet processing failed"
    r"|Task finished with error code"
)
_NO_DECODER = re.compile(r"no decoder found|Decoder \(.*\) not found|Unknown decoder")


def lacks_decoder(lines: Sequence[str]) -> bool:
    """Return whether ffmpeg reported that it has no decoder for a track."""
    return any(_NO_DECODER.search(line) for line in lines)


def ended_early(lines: Sequence[str]) -> bool:
    """Return whether ffmpeg reported that it could not read its file to the end."""
    return any(_ENDED_EARLY.search(line) for line in lines)


def files_ended_early(finished: Finished, num_files: int) -> set[int]:
    """Return the places of files that ffmpeg could not read to their end.

    All, if it names none, or if one of them made it say so much that its first words are lost.
    """
    if finished.stderr_is_cut:
        return set(range(num_files))
    early: set[int] = set()
    for line in finished.stderr_tail.splitlines():
        if _ENDED_EARLY.search(line):
            named = _NAMED_INPUT.search(line)
            early |= {int(named[1])} if named else set(range(num_files))
    return early


def error_lines(finished: Finished, url: str) -> list[str]:
    """Return stderr's distinct lines without the file's path and the names of libav's objects."""
    shown_url = os.fsencode(url).decode("utf-8", errors="replace")
    tail = finished.stderr_tail
    if finished.stderr_is_cut:
        tail = tail.partition("\n")[2]  # its first line may be half a line
    lines = (
        _LOG_PREFIX.sub("", line).strip()
        for line in tail.replace(shown_url, "the clip").splitlines()
    )
    return list(dict.fromkeys(line for line in lines if line and not _EXPECTED.search(line)))


def what_it_said(finished: Finished, lines: Sequence[str]) -> str:
    """Return ffmpeg's lines as one, or how it ended."""
    if lines or finished.exit_status is None:
        return "; ".join(lines) or "no message"
    return f"no message, exit status {finished.exit_status}"
