"""Finds faces with a detector in a long-lived child process."""

from __future__ import annotations

import atexit
import json
import math
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emi_model.errors import ConfigError
from tasks.extraction.faces.detectors import Box
from tasks.processes.line_child import LineChild

_CHILD = Path(__file__).with_name("faces_child.py")

DETECTION_SIDE = 320
"""Pixels of the longer side of a picture in which faces are looked for: a face is found from about
a sixteenth of it, at a quarter of the cost of twice the side."""

_MIN_SIDE = 16
"""In smaller pictures there is nothing to see, and a native detector may not expect them."""

_idle: dict[str, list[FaceFinder]] = {}
_lock = threading.Lock()


class FaceFinder(LineChild):
    """Handle on the child process that finds faces, see `LineChild`."""

    def __init__(self, reference: str) -> None:
        """Store the command; the first `find` starts the child.

        Args:
            reference: the detector, as `tasks.extraction.faces.detectors` reads it.
        """
        super().__init__([sys.executable, "-P", str(_CHILD), reference])

    def find(
        self, pictures: Sequence[NDArray[np.uint8]], timeout_seconds: float
    ) -> list[list[Box]]:
        """Return the faces in each picture, in its own pixels.

        Args:
            pictures: uint8 (height, width, 3) RGB, all of one size.
            timeout_seconds: after this time the child is killed; the next call starts another.

        Raises:
            ConfigError: the detector cannot be loaded.
            TimeoutError: it did not answer in time.
            EOFError: it crashed twice.
        """
        if not pictures or min(pictures[0].shape[:2]) < _MIN_SIDE:
            return [[] for _ in pictures]
        height, width, _ = pictures[0].shape
        shrink = min(1.0, DETECTION_SIDE / max(height, width))
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        small = [Image.fromarray(one).resize(size, Image.Resampling.BILINEAR) for one in pictures]
        request = {"width": size[0], "height": size[1], "count": len(pictures)}
        request["limit_seconds"] = math.ceil(timeout_seconds) + 1
        answer = json.loads(
            self.ask(
                json.dumps(request).encode() + b"\n",
                timeout_seconds,
                b"".join(one.tobytes() for one in small),
            )
        )
        if "error" in answer:
            raise ConfigError(answer["error"])
        across, down = width / size[0], height / size[1]
        return [
            [Box(x * across, y * down, w * across, h * down, sure) for x, y, w, h, sure in faces]
            for faces in answer["faces"]
        ]


@contextmanager
def borrowed_finder(reference: str) -> Iterator[FaceFinder]:
    """Yield a finder that no other thread uses; it is kept for the next one who asks."""
    with _lock:
        kept = _idle.setdefault(reference, [])
        finder = kept.pop() if kept else FaceFinder(reference)
    try:
        yield finder
    finally:
        with _lock:
            kept.append(finder)


@atexit.register
def close_finders() -> None:
    """End the child processes that nobody uses."""
    with _lock:
        for finder in (one for kept in _idle.values() for one in kept):
            finder.close()
