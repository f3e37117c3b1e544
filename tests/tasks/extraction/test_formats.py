"""Formats with sound of their own are decoded, whatever their suffix."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.corpus.passed_over import MEDIA_SUFFIXES
from tasks.extraction.audio import Extraction
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.extraction.formats import ALLOWED_CONTAINERS, ALLOWED_DECODERS, may_reach_out

MakeMedia = Callable[..., Path]

SPHERE = """NIST_1A
   1024
channel_count -i 1
sample_count -i {count}
sample_rate -i 16000
sample_n_bytes -i 2
sample_byte_format -s2 01
sample_sig_bits -i 16
sample_coding -s3 pcm
end_head
"""

OLD = ("-strict", "-2")  # ffmpeg's name for encoders that it calls experimental


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.dts", ("-c:a", "dca", *OLD, "-ar", "48000")),
        ("a.latm", ("-c:a", "aac", "-f", "latm")),
        ("a.tta", ()),
        ("a.voc", ()),
        ("a.nut", ()),
        ("a.thd", ("-c:a", "truehd", *OLD, "-ar", "48000")),
        ("a.rm", ("-c:a", "ac3")),
        ("a.wtv", ("-c:a", "mp2")),
        ("a.spdif", ("-c:a", "ac3", "-f", "spdif", "-ar", "48000")),
        ("a.sox", ()),
        ("a.w64", ()),
        ("a.au", ()),
        ("a.wv", ()),
        ("a.eac3", ()),
    ],
)
def test_a_second_of_each(
    name: str, options: tuple[str, ...], make_media: MakeMedia, take: Callable[..., Extraction]
) -> None:
    found = take(make_media(name, *options).rename(make_media("x.wav").with_suffix(".mp4")))
    assert found.waveform.size / 16_000 == pytest.approx(1.0, abs=0.1)  # encoders pad
    assert np.abs(found.waveform).max() > 3_000
    assert name.removeprefix("a.") in MEDIA_SUFFIXES


def test_sphere(make_media: MakeMedia, tmp_path: Path, take: Callable[..., Extraction]) -> None:
    """The files of speech corpora are named .wav and begin with NIST_1A."""
    sound = make_media("tone.wav", "-f", "s16le").read_bytes()
    header = SPHERE.format(count=len(sound) // 2).encode().ljust(1024)
    (tmp_path / "speech.wav").write_bytes(header + sound)
    found = take(tmp_path / "speech.wav")
    assert found.waveform.tobytes() == sound
    assert (found.sampling_rate, found.channels) == (16_000, 1)


def test_what_the_lists_name_is_what_ffmpeg_has() -> None:
    shown = subprocess.run(
        [find_ffmpeg(), "-hide_banner", "-demuxers"], capture_output=True, text=True, check=True
    ).stdout
    names = {name for line in shown.splitlines() for name in line.split()[1:2] if " D" in line}
    short = {part for name in names for part in name.split(",")}
    assert set(ALLOWED_CONTAINERS.split(",")) <= short
    assert not any(may_reach_out(name) for name in ALLOWED_CONTAINERS.split(","))
    assert len(set(ALLOWED_DECODERS.split(","))) == len(ALLOWED_DECODERS.split(","))


@pytest.mark.parametrize("name", ["hls", "concat", "dash", "sdp", "hls,applehttp", "image2"])
def test_what_may_open_other_files(name: str) -> None:
    assert may_reach_out(name)


@pytest.mark.parametrize("name", ["png_pipe", "srt", "ass", "shn", "mov,mp4,m4a,3gp,3g2,mj2"])
def test_what_opens_nothing_else(name: str) -> None:
    assert not may_reach_out(name)
