"""Which face of several is followed, and what a crop shows."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.extraction.faces.detectors import Box
from tasks.extraction.faces.tracking import (
    CROP_SIZE,
    MIN_CONFIDENCE,
    FaceTracker,
    crop_face,
    overlap,
)


def box(x: float, y: float, side: float = 100.0, confidence: float = 0.9) -> Box:
    return Box(x, y, side, side, confidence)


class TestTracker:
    def test_the_first_is_the_largest_of_the_sure_ones(self) -> None:
        small, large, doubtful = box(0, 0, 40), box(200, 0, 90), box(0, 200, 300, 0.5)
        assert FaceTracker().choose([small, doubtful, large]) == large
        surer = box(0, 0, 50, 0.95)
        assert FaceTracker().choose([box(100, 0, 50, 0.75), surer]) == surer

    def test_then_the_one_that_overlaps(self) -> None:
        tracker = FaceTracker()
        tracker.choose([box(0, 0)])
        assert tracker.choose([box(300, 0, 150), box(20, 10)]) == box(20, 10)
        assert tracker.choose([box(300, 0, 150), box(45, 10), box(60, 10)]) == box(45, 10)

    def test_after_a_cut_the_largest_again(self) -> None:
        tracker = FaceTracker()
        tracker.choose([box(0, 0)])
        assert tracker.choose([box(300, 0, 50), box(600, 0, 70)]) == box(600, 0, 70)

    def test_pictures_without_a_sure_face_change_nothing(self) -> None:
        tracker = FaceTracker()
        tracker.choose([box(0, 0)])
        assert tracker.choose([]) is None
        assert tracker.choose([box(0, 0, confidence=MIN_CONFIDENCE - 0.01)]) is None
        assert tracker.choose([box(300, 0, 200), box(10, 0)]) == box(10, 0)


def test_overlap() -> None:
    assert overlap(box(0, 0), box(0, 0)) == 1.0
    assert overlap(box(0, 0), box(50, 0)) == pytest.approx(1 / 3)
    assert overlap(box(0, 0), box(100, 0)) == 0.0
    assert overlap(box(0, 0, 0), box(0, 0, 0)) == 0.0


class TestCrop:
    @pytest.fixture
    def picture(self) -> np.ndarray:
        """Return a picture whose red tells the column, and whose green tells the row."""
        rows, columns = np.mgrid[0:240, 0:250]
        return np.stack([columns, rows, np.full_like(rows, 9)], axis=-1).astype(np.uint8)

    def test_a_square_with_a_margin(self, picture: np.ndarray) -> None:
        crop = crop_face(picture, Box(100, 80, 50, 100, 0.9))
        assert crop.shape == (CROP_SIZE, CROP_SIZE, 3)
        assert crop.dtype == np.uint8
        assert crop[0, 0].tolist() == pytest.approx(
            [60, 65, 9], abs=1
        )  # 130 wide around (125, 130)
        assert crop[-1, -1].tolist() == pytest.approx([189, 194, 9], abs=1)

    def test_moved_into_the_picture(self, picture: np.ndarray) -> None:
        crop = crop_face(picture, box(-20, 200, 100))
        assert crop[0, 0].tolist() == pytest.approx([0, 110, 9], abs=1)
        assert crop[-1, -1].tolist() == pytest.approx([129, 239, 9], abs=1)

    def test_black_where_the_picture_is_too_small(self, picture: np.ndarray) -> None:
        crop = crop_face(picture, box(25, 20, 200))
        assert not crop[0].any()
        assert crop[CROP_SIZE // 2, 0, 2] == 0
        assert crop[CROP_SIZE // 2, CROP_SIZE // 2].tolist() == pytest.approx([125, 120, 9], abs=2)
