from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.extraction.headers import AudioTrack, Header
from tasks.extraction.tracks import Decodable, find_track, one_line
from tasks.schema.outcomes import Reason, Rejection

MakeMedia = Callable[..., Path]


def track(**facts: object) -> AudioTrack:
    plain = {"index": 0, "codec": "aac", "allowed": True, "encrypted": False, "default": True}
    plain |= {"sampling_rate": 16_000, "channels": 1, "seconds": None}
    return AudioTrack(**(plain | facts))  # type: ignore[arg-type]


class Told:
    """Stands for a prober that read this header."""

    def __init__(self, header: Header) -> None:
        self.header = header

    def read(self, url: str, *, timeout_seconds: float) -> Header:
        return self.header


@pytest.mark.parametrize(
    ("codec", "words"),
    [(None, "the audio track is encrypted"), ("ac3", "the ac3 track is encrypted")],
)
def test_an_encrypted_track_with_and_without_a_name(
    codec: str | None, words: str, tmp_path: Path
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"abc")
    header = Header("mov", None, (track(codec=codec, encrypted=True),))
    found = find_track(tmp_path / "a.mp4", Told(header), 1.0)  # type: ignore[arg-type]
    assert isinstance(found, Rejection)
    assert (found.reason, found.detail) == (Reason.ENCRYPTED, words)


@pytest.mark.parametrize(
    ("start", "said"), [(None, None), (0.0, 0.0), (0.09, 0.0), (6.0, 6.0), (1e12, None)]
)
def test_where_the_sound_begins(start: float | None, said: float | None) -> None:
    one = track(start_seconds=start)
    found = Decodable("file:a", Header("mov", None, (one,)), one, 1.0)
    assert found.source()["audio_start_seconds"] == said


class TestOneLine:
    def test_short(self) -> None:
        assert one_line(" a\n b\x1b; c ") == "a b ; c"

    def test_without_addresses(self) -> None:
        assert one_line("at 0x55f7a3f6ff30: tag 0x31637661") == "at : tag 0x31637661"

    def test_whole_messages_of_a_long_one(self) -> None:
        assert one_line("; ".join(["x" * 90] * 5)) == "; ".join(["x" * 90] * 3)

    def test_a_long_message(self) -> None:
        line = one_line("word " * 100)
        assert line.endswith("word …")
        assert len(line) <= 300
