"""The input of modality ``vision``: one face through a clip, five crops a second.

uint8 (N, 112, 112, 3) RGB, at most 300: crop i is what a viewer sees i/5 s after the recording
began. Where no face is seen, it is all zero; before the video begins, too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.extraction.decoding.pictures import DecodedPictures, RgbPicture
from tasks.extraction.faces.detectors import chosen_detector, detector_key
from tasks.extraction.faces.finding import borrowed_finder
from tasks.extraction.faces.tracking import CROP_SIZE, FaceTracker, crop_face
from tasks.extraction.registry import ClipMedia, register_extractor
from tasks.schema.outcomes import Reason, Rejection

VISION_MODALITY = "vision"

_AT_A_TIME = 50  # of 480 x 480 pixels at most: 35 MB


def _key(detector: Any) -> str:
    return detector_key(detector or chosen_detector())


def _facts(detector: Any) -> dict[str, str]:
    return {"detector": (detector or chosen_detector()).partition(":")[0], "key": _key(detector)}


@register_extractor(VISION_MODALITY, version=1, needs_pictures=True, key=_key, facts=_facts)
def extract_faces(media: ClipMedia) -> NDArray[np.uint8] | Rejection:
    """Return the crops of a clip's face, or a rejection; `ClipMedia.noted` gets what was seen.

    Raises:
        ConfigError: there is no usable face detector.
    """
    pictures = media.pictures
    assert pictures is not None, "decoded for every extractor that needs pictures"
    detector = media.options.get(VISION_MODALITY) or chosen_detector()
    detector_key(detector)
    if isinstance(pictures, Rejection):
        media.noted[VISION_MODALITY] = {"num_frames_seen": 0}
        return pictures
    noted: dict[str, Any] = {"num_frames_seen": len(pictures.ticks)}
    media.noted[VISION_MODALITY] = noted
    try:
        crops = dict(_crops(pictures, detector, media.timeout_seconds))
    except TimeoutError:
        words = f"faces were not found within {media.timeout_seconds:g} s"
        return Rejection(reason=Reason.TIMEOUT, detail=words)
    except EOFError as error:
        words = f"the process that finds faces {error}"
        return Rejection(reason=Reason.WORKER_DIED, detail=words)
    noted["face_share"] = len(crops) / len(pictures.ticks)
    if not crops:
        words = f"no face in {len(pictures.ticks)} pictures"
        return Rejection(reason=Reason.NO_FACE, detail=words)
    found = np.zeros((pictures.ticks[-1] + 1, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    for tick, crop in crops.items():
        found[tick] = crop
    return found


def _crops(
    pictures: DecodedPictures, detector: str, timeout_seconds: float
) -> Iterator[tuple[int, RgbPicture]]:
    """Yield time and crop of each picture that shows the clip's face.

    Raises:
        TimeoutError: it took too long.
        EOFError: the detector crashed.
    """
    deadline = time.monotonic() + timeout_seconds
    tracker, left = FaceTracker(), iter(pictures)
    with borrowed_finder(detector) as finder:
        while some := list(islice(left, _AT_A_TIME)):
            shown = [picture for _, picture in some]
            found = finder.find(shown, max(deadline - time.monotonic(), 0.0))
            for (tick, picture), faces in zip(some, found, strict=True):
                face = tracker.choose(faces)
                if face is not None:
                    yield tick, crop_face(picture, face)
