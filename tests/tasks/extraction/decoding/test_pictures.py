"""Which picture is shown at which time, how large it is, and how much of a clip is looked at.

Made clips show a field of grey that grows brighter: the grey tells when a picture was written.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tasks.extraction.decoding.commands import View
from tasks.extraction.decoding.decode import decode_pictures
from tasks.extraction.decoding.pictures import (
    FRAMES_PER_SECOND,
    LONGEST_SIDE,
    MAX_FRAMES,
    DecodedPictures,
    max_picture_bytes,
    num_frames_within,
    read_pictures,
)
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.extraction.headers import Prober
from tasks.extraction.media import Media, extract_media
from tasks.schema.outcomes import Reason, Rejection

Film = Callable[..., Path]
RAW = ("-c:v", "rawvideo", "-pix_fmt", "rgb24", "-allow_raw_vfw", "1")
LOSSLESS = ("-c:v", "libx264", "-qp", "0", "-preset", "ultrafast", "-bf", "0", "-g", "5")


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """Return a function that writes pictures that begin at the given seconds, and maybe a tone.

    Picture n is a field of grey of 10 n; the clip's sound begins at ``sound_at``.
    """

    def write(
        name: str,
        starts: Sequence[float],
        *options: str,
        size: str = "64x48",
        sound_at: float | None = None,
    ) -> Path:
        path = tmp_path / name
        width, height = map(int, size.split("x"))
        greys = b"".join(bytes([10 * n]) * (width * height) for n in range(len(starts)))
        inputs = ["-f", "rawvideo", "-pixel_format", "gray", "-video_size", size, "-i", "-"]
        if sound_at is not None:
            tone = "sine=frequency=440:duration=2:sample_rate=16000"
            inputs += ["-itsoffset", str(sound_at), "-f", "lavfi", "-i", tone]
        times = "".join(f"+eq(N,{n})*{start}" for n, start in enumerate(starts))
        chain = f"settb=1/1000,setpts='({times})/TB'"
        filters = ["-vf", ",".join([chain, *(o[3:] for o in options if o.startswith("vf:"))])]
        plain = [option for option in options if not option.startswith("vf:")]
        exact = ["-fps_mode", "passthrough", "-enc_time_base", "1:1000"]
        ffmpeg(*inputs, *filters, *exact, *plain, str(path), given=greys)
        return path

    return write


def ffmpeg(*args: str, given: bytes = b"") -> None:
    quiet = [find_ffmpeg(), "-hide_banner", "-loglevel", "error", "-y"]
    subprocess.run([*quiet, *args], check=True, timeout=60, input=given)


def look(
    path: Path, prober: Prober, max_seconds: float | None = None, *, sound: bool = False
) -> Media:
    (found,) = extract_media(
        [path], sound=sound, sight=True, max_seconds=max_seconds, prober=prober
    )
    return found


def shown(path: Path, prober: Prober, max_seconds: float | None = None) -> dict[int, int]:
    """Return the number of the picture that is shown at each tick."""
    alone = pictures_of(look(path, prober, max_seconds))
    common = pictures_of(look(path, prober, max_seconds, sound=True))
    assert common == alone
    return alone


def pictures_of(found: Media) -> dict[int, int]:
    assert isinstance(found.pictures, DecodedPictures), found.pictures
    return {tick: round(int(picture[5, 5, 0]) / 10) for tick, picture in found.pictures}


class TestTimes:
    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
    def test_a_variable_rate_by_its_own_clock(self, name: str, film: Film, prober: Prober) -> None:
        """One picture is shown for a second and a half; others come faster than they are seen."""
        starts = [0.0, 0.05, 0.19, 0.21, 0.4, 1.9, 1.93, 1.96]
        path = film(name, starts, *LOSSLESS, sound_at=0.0)
        expected = {tick: sum(start <= tick / 5 for start in starts) - 1 for tick in range(10)}
        assert [*expected.values()] == [0, 2, 4, 4, 4, 4, 4, 4, 4, 4]
        assert shown(path, prober) == expected
        assert shown(path, prober, 1.0) == {tick: expected[tick] for tick in range(5)}

    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
    def test_sound_that_begins_late_moves_no_picture(
        self, name: str, film: Film, prober: Prober
    ) -> None:
        path = film(name, [0.0, 0.5, 1.0, 1.5], *LOSSLESS, sound_at=1.2)
        found = shown(path, prober)
        assert [found[tick] for tick in range(8)] == [0, 0, 0, 1, 1, 2, 2, 2]
        assert {*found.values()} <= {0, 1, 2, 3}  # a broadcast does not say how long the last is

    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
    def test_pictures_that_begin_late_are_absent_before(
        self, name: str, film: Film, prober: Prober
    ) -> None:
        path = film(name, [0.7, 1.17], *LOSSLESS, sound_at=0.0)
        found = shown(path, prober)
        assert min(found) == 4
        assert [found[tick] for tick in (4, 5, 6)] == [0, 0, 1]

    @pytest.mark.parametrize("name", ["a.vob", "a.ts"])
    def test_sound_far_behind_the_beginning_of_a_disc_or_broadcast(
        self, name: str, tmp_path: Path, prober: Prober
    ) -> None:
        inputs = ["testsrc=size=64x48:rate=25:duration=22", "sine=duration=1:sample_rate=48000"]
        made = (option for one in inputs for option in ("-f", "lavfi", "-i", one))
        late = ("-af", "asetpts=PTS+20/TB", "-c:v", "mpeg2video", "-c:a", "mp2")
        ffmpeg(*made, *late, str(tmp_path / name))
        assert [*shown(tmp_path / name, prober, 1.0)] == [0, 1, 2, 3, 4]

    def test_a_first_picture_that_is_a_little_late_is_there_from_the_beginning(
        self, film: Film, prober: Prober
    ) -> None:
        path = film("a.mkv", [0.06, 0.3, 0.5], *LOSSLESS, sound_at=0.0)
        assert shown(path, prober) == {0: 0, 1: 0, 2: 1}


class TestSizes:
    def test_scaled_with_square_pixels(self, film: Film, prober: Prober) -> None:
        wide = film("a.mp4", [0.0], "vf:setsar=2", *LOSSLESS, size="640x480")
        ((_, picture),) = seen(look(wide, prober))
        assert picture.shape == (180, 480, 3)
        small = film("b.mp4", [0.0], *LOSSLESS, size="64x48")
        ((_, picture),) = seen(look(small, prober))
        assert picture.shape == (48, 64, 3)

    def test_rotated_as_the_recorder_says(self, film: Film, tmp_path: Path, prober: Prober) -> None:
        flat = film("a.mp4", [0.0], *LOSSLESS, "vf:drawbox=w=10:h=48:color=white:t=fill")
        turned = tmp_path / "turned.mp4"
        ffmpeg("-display_rotation", "90", "-i", str(flat), "-c", "copy", str(turned))
        ((_, picture),) = seen(look(turned, prober))
        assert picture.shape == (64, 48, 3)
        assert picture[-5, 24, 0] > 200  # what was on the left is at the bottom
        assert picture[5, 24, 0] < 50

    def test_a_size_that_changes(self, film: Film, tmp_path: Path, prober: Prober) -> None:
        """Browsers change it in the middle of a recording; ffmpeg keeps the first."""
        for name, size in (("a.webm", "640x360"), ("b.webm", "320x240")):
            film(name, [0.0, 0.2, 0.4, 0.6], "-c:v", "libvpx", size=size)
        (tmp_path / "list").write_text("file 'a.webm'\nfile 'b.webm'\n")
        both = tmp_path / "both.webm"
        ffmpeg("-f", "concat", "-i", str(tmp_path / "list"), "-c", "copy", str(both))
        shapes = [picture.shape for _, picture in seen(look(both, prober))]
        assert len(shapes) > 3
        assert set(shapes) == {(270, 480, 3)}


class TestBounds:
    def test_of_a_long_clip_its_first_minute(self, film: Film, prober: Prober) -> None:
        path = film("a.mkv", [0.0, 59.7, 60.5, 100.0], *LOSSLESS, sound_at=0.0)
        found = shown(path, prober)
        assert [*found] == list(range(MAX_FRAMES))
        assert [*found.values()] == [0] * 299 + [1]

    def test_a_broadcast_is_not_read_to_its_end(self, tmp_path: Path) -> None:
        """Its sound is the clock of its pictures. The file that is read here has no end."""
        inputs = ["testsrc=size=64x48:rate=25:duration=20", "sine=duration=20"]
        made = (option for one in inputs for option in ("-f", "lavfi", "-i", one))
        ffmpeg(*made, "-c:v", "mpeg2video", "-c:a", "mp2", str(tmp_path / "a.ts"))
        os.mkfifo(tmp_path / "endless.ts")
        seen = threading.Event()

        def write() -> None:
            with suppress(BrokenPipeError), (tmp_path / "endless.ts").open("wb") as pipe:
                pipe.write((tmp_path / "a.ts").read_bytes())
                pipe.flush()
                seen.wait()

        threading.Thread(target=write, daemon=True).start()
        url = f"file:{tmp_path / 'endless.ts'}"
        found = decode_pictures(url, View(0, 5), clock_index=1, timeout_seconds=20.0)
        seen.set()
        assert not found.timed_out
        assert found.pictures.ticks == (0, 1, 2, 3, 4)

    def test_a_clip_in_4k(self, film: Film, prober: Prober) -> None:
        path = film("a.mp4", [0.0, 0.7], *LOSSLESS, size="3840x2160")
        found = look(path, prober).pictures
        assert isinstance(found, DecodedPictures)
        assert [picture.shape for _, picture in found] == [(270, 480, 3)] * 4
        assert sum(picture.nbytes for picture in found.pictures) <= max_picture_bytes(4)

    def test_times_that_jump_by_years(self, film: Film, prober: Prober) -> None:
        """The filter would repeat the picture for all of them."""
        path = film("a.mkv", [0.0, 1.0, 1e5], *LOSSLESS)
        assert len(shown(path, prober)) == MAX_FRAMES

    @pytest.mark.parametrize(
        ("seconds", "num"), [(0.01, 1), (0.2, 1), (0.21, 2), (12.0, 60), (60.0, 300), (7e3, 300)]
    )
    def test_how_many(self, seconds: float, num: int) -> None:
        assert num_frames_within(seconds) == num

    def test_a_picture_that_is_cut_off_is_left_out(self, film: Film, prober: Prober) -> None:
        path = film("a.mkv", [0.0, 0.2, 0.4], *LOSSLESS)
        raw = subprocess.run(
            [find_ffmpeg(), "-loglevel", "error", "-i", path, *RAW, "-f", "matroska", "-"],
            check=True,
            capture_output=True,
        ).stdout
        whole, cut = read_pictures(raw), read_pictures(raw[: len(raw) * 9 // 10])
        assert (len(whole.ticks), len(cut.ticks)) == (3, 2)
        assert np.array_equal(cut.pictures, whole.pictures[:2])
        assert read_pictures(b"").ticks == ()


def seen(found: Media) -> list[tuple[int, np.ndarray]]:
    assert isinstance(found.pictures, DecodedPictures), found.pictures
    return list(found.pictures)


def test_files_without_pictures(film: Film, tmp_path: Path, prober: Prober) -> None:
    tone = ("-f", "lavfi", "-i", "sine=duration=1")
    ffmpeg(*tone, str(tmp_path / "sound.wav"))
    cover = film("cover.png", [0.0])
    ffmpeg(*tone, "-i", str(cover), "-map", "0", "-map", "1", "-disposition:v", "attached_pic",
           str(tmp_path / "with cover.mp3"))  # fmt: skip
    ffmpeg(*tone, "-f", "lavfi", "-i", "color=size=64x48:duration=1", "-c:v", "qtrle",
           str(tmp_path / "animation.mov"))  # fmt: skip
    (tmp_path / "empty.mp4").touch()
    names = ["sound.wav", "with cover.mp3", "animation.mov", "empty.mp4", "gone.mp4"]
    paths = [tmp_path / name for name in names]
    found = list(extract_media(paths, sound=True, sight=True, max_seconds=12.0, prober=prober))
    refused = [one.pictures for one in found]
    assert all(isinstance(one, Rejection) for one in refused)
    assert [one.reason for one in refused if isinstance(one, Rejection)] == [
        *(Reason.NO_VIDEO, Reason.NO_VIDEO, Reason.UNSUPPORTED_CODEC),
        *(Reason.UNREADABLE, Reason.MISSING),
    ]
    assert FRAMES_PER_SECOND * 12 < MAX_FRAMES
    assert LONGEST_SIDE == 480
