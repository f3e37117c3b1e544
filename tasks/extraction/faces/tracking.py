"""Which of several faces is the clip's, and what of a picture shows it.

The rule, picture by picture: of the faces that the detector is sure of, the one that overlaps most
with the face of the picture before; where none does, because there is none yet or the scene
changed, the one of which confidence times area is largest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.extraction.faces.detectors import Box

MIN_CONFIDENCE = 0.7
"""Faces of people who speak to a camera reach 0.9; things that look like one stay below 0.6."""

MIN_OVERLAP = 0.2
"""Intersection over union from which a face is that of the picture before, 0.2 s ago."""

FACE_MARGIN = 0.3
"""The crop is a square so much larger than the longer side of the face."""

CROP_SIZE = 112
"""Pixels of a crop's side."""


class FaceTracker:
    """Follows one face through a clip."""

    def __init__(self) -> None:
        """Begin a clip."""
        self._last: Box | None = None

    def choose(self, faces: Sequence[Box]) -> Box | None:
        """Return the clip's face in the next picture, or None if it shows none."""
        sure = [face for face in faces if face.confidence >= MIN_CONFIDENCE]
        if not sure:
            return None
        chosen = max(sure, key=lambda face: face.confidence * face.width * face.height)
        if self._last is not None:
            nearest = max(sure, key=self._overlap)
            if self._overlap(nearest) >= MIN_OVERLAP:
                chosen = nearest
        self._last = chosen
        return chosen

    def _overlap(self, face: Box) -> float:
        return 0.0 if self._last is None else overlap(self._last, face)


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(width, 0.0) * max(height, 0.0)
    union = one.width * one.height + other.width * other.height - shared
    return shared / union if union > 0 else 0.0


def crop_face(picture: NDArray[np.uint8], face: Box) -> NDArray[np.uint8]:
    """Return a face, uint8 (`CROP_SIZE`, `CROP_SIZE`, 3) RGB, from a picture of any size.

    The square moves into the picture where it reaches over its edge; what is still outside, in a
    picture narrower than the square, is black.
    """
    height, width, _ = picture.shape
    side = max(face.width, face.height) * (1 + FACE_MARGIN)
    left = _moved_in(face.x + face.width / 2 - side / 2, side, width)
    top = _moved_in(face.y + face.height / 2 - side / 2, side, height)
    edges = (round(left), round(top), round(left + side), round(top + side))
    square = Image.fromarray(picture).crop(edges)
    return np.asarray(square.resize((CROP_SIZE, CROP_SIZE), Image.Resampling.BILINEAR))


def _moved_in(start: float, side: float, length: int) -> float:
    if side >= length:
        return (length - side) / 2
    return min(max(start, 0.0), length - side)
