"""Windows of films of any size; what stops a cut is said."""

import ffmpeg
import pytest

from emi_model.errors import ExportError, MediaToolError
from tasks.datasets.media import WindowCut, cut_windows
from tasks.extraction.headers import Prober
from tasks.synthetic.encoding import encode


@pytest.mark.parametrize("size", ["61x47", "62x48"])
def test_windows_have_an_even_width_and_height(size, tmp_path):
    film, window = tmp_path / "film.mp4", tmp_path / "cut" / "window.mkv"
    grey = ffmpeg.input(f"color=gray:size={size}:rate=1:duration=1", f="lavfi").video
    encode(film, [grey], pix_fmt="yuv444p")
    cut_windows([WindowCut(film, 0, 1, window)])
    with Prober() as prober:
        pixels = [
            prober.read(f"file:{path}", timeout_seconds=10.0).videos[0].num_pixels
            for path in (film, window)
        ]
    width, height = map(int, size.split("x"))
    assert pixels == [width * height, 62 * 48]


def test_the_cause_of_a_failure_is_said(tmp_path):
    film, window = tmp_path / "film.mp4", tmp_path / "cut" / "window.mkv"
    film.write_bytes(b"no film")
    with pytest.raises(MediaToolError, match=r"cut windows out of it: .* moov atom not found"):
        cut_windows([WindowCut(film, 0, 1, window)])
    assert list(window.parent.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    film, file = tmp_path / "film.mp4", tmp_path / "file"
    film.write_bytes(b"no film")
    file.touch()
    with pytest.raises(ExportError, match=r"film: cannot be written: Not a directory$"):
        cut_windows([WindowCut(film, 0, 1, file / "film" / "window.mkv")])
