from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from tasks.corpus.clips import hash_content
from tasks.corpus.listing import clip_file
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import unpack
from tasks.extraction.registry import ClipMedia, register_extractor
from tasks.extraction.rows import extract_clip, listed_row
from tasks.schema.outcomes import Reason, Rejection, rejected
from tasks.schema.scores import EXTRACTED

MakeMedia = Callable[..., Path]
Row = dict[str, Any]


@pytest.fixture
def row_of(prober: Prober) -> Callable[..., Row]:
    """Return `extract_clip`, its row checked against the schema that workers give it."""

    def extract(path: Path, max_seconds: float | None = 12.0) -> Row:
        clip = clip_file("folder/clip", bytes(path))
        row = extract_clip(clip, max_seconds=max_seconds, timeout_seconds=30, prober=prober)
        assert list(row) == EXTRACTED.names
        assert pa.Table.from_pylist([row], EXTRACTED).to_pylist() == [row]
        assert (row["inputs"] is None) == (row["status"] == "rejected")
        return row

    return extract


class TestScored:
    def test_what_is_known_of_a_clip(
        self, make_media: MakeMedia, row_of: Callable[..., Row]
    ) -> None:
        options = ("-c:v", "libx264", "-c:a", "aac", "-ac", "2")
        path = make_media("a b.mp4", *options, sampling_rate=44_100, picture_seconds=1.0)
        row = row_of(path)
        assert row["clip_id"] == "folder/clip"
        assert row["uri"] == path.as_uri()
        assert row["content_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (row["bytes"], row["modified_ns"]) == (path.stat().st_size, path.stat().st_mtime_ns)
        assert (row["status"], row["reason"], row["detail"]) == ("scored", None, None)
        assert (row["codec"], row["sampling_rate"], row["channels"]) == ("aac", 44_100, 2)
        assert (row["track"], row["num_tracks"], row["declared_seconds"]) == (1, 1, 1.0)
        assert row["duration_seconds"] == len(unpack(row)["audio"]) / 16_000
        assert row["flags"] == []

    def test_levels(self, make_media: MakeMedia, row_of: Callable[..., Row]) -> None:
        row = row_of(make_media("tone.wav", "-af", "apad=pad_dur=1"))
        waveform = unpack(row)["audio"]
        assert waveform.shape == (32_000,)
        rms = 20 * np.log10(np.sqrt(np.mean((waveform / 32_768) ** 2)))
        assert row["rms_dbfs"] == pytest.approx(rms, abs=1e-9)
        assert row["peak_dbfs"] == pytest.approx(20 * np.log10(1 / 8), abs=0.01)
        assert row["silent_fraction"] == 0.5

    @pytest.mark.parametrize(
        ("options", "max_seconds", "flags"),
        [
            ([], 2.0, []),
            ([], 0.5, ["truncated"]),
            (["-af", "volume=0"], None, ["silent"]),
            (["-af", "volume=-55dB"], None, ["silent"]),
            (["-af", "volume=-35dB"], None, []),
            (["-af", "volume=40dB"], None, ["clipped"]),
            (["-af", "volume=0"], 1.0, ["truncated", "silent"]),
        ],
    )
    def test_flags(
        self,
        options: list[str],
        max_seconds: float | None,
        flags: list[str],
        make_media: MakeMedia,
        row_of: Callable[..., Row],
    ) -> None:
        row = row_of(make_media("tone.wav", *options, seconds=2.0), max_seconds)
        assert row["flags"] == flags
        assert row["duration_seconds"] == min(max_seconds or 2.0, 2.0)
        assert row["declared_seconds"] == 2.0

    def test_a_flag_for_what_is_lost(
        self, make_media: MakeMedia, row_of: Callable[..., Row]
    ) -> None:
        path = make_media("cut.m4a", "-c:a", "aac", "-movflags", "+faststart", seconds=4.0)
        os.truncate(path, path.stat().st_size // 2)
        assert row_of(path)["flags"] == ["short_decode"]


class TestRejected:
    def test_the_facts_stay(self, make_media: MakeMedia, row_of: Callable[..., Row]) -> None:
        path = make_media("a.avi", "-c:a", "adpcm_yamaha", sampling_rate=8_000)
        row = row_of(path)
        assert (row["status"], row["reason"]) == ("rejected", "unsupported_codec")
        assert "adpcm_yamaha" in row["detail"]
        assert (row["codec"], row["sampling_rate"], row["channels"]) == ("adpcm_yamaha", 8_000, 1)
        assert (row["track"], row["num_tracks"]) == (1, 1)
        assert row["content_sha256"] == hash_content(path)
        assert row["bytes"] == path.stat().st_size
        assert (row["duration_seconds"], row["rms_dbfs"], row["flags"]) == (None, None, [])

    def test_no_file(self, tmp_path: Path, row_of: Callable[..., Row]) -> None:
        row = row_of(tmp_path / "gone.mp4")
        assert (row["reason"], row["uri"]) == ("missing", (tmp_path / "gone.mp4").as_uri())
        assert (row["content_sha256"], row["bytes"], row["modified_ns"]) == (None, None, None)

    @pytest.mark.parametrize("name", ["pipe.mp4", "n\0ul.mp4"])
    def test_no_regular_file(self, name: str, tmp_path: Path, row_of: Callable[..., Row]) -> None:
        os.mkfifo(tmp_path / "pipe.mp4")
        row = row_of(tmp_path / name)
        assert (row["reason"], row["content_sha256"]) == ("unreadable", None)

    def test_a_prober_of_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "text.mp4").write_text("a text")
        clip = clip_file("text.mp4", bytes(tmp_path / "text.mp4"))
        row = extract_clip(clip, max_seconds=None, timeout_seconds=30)
        assert (row["reason"], row["bytes"]) == ("unreadable", 6)

    def test_a_row_becomes_a_rejection(self, tmp_path: Path) -> None:
        row = listed_row(clip_file("a", bytes(tmp_path))) | {"inputs": [], "codec": "aac"}
        changed = {"status", "reason", "detail", "inputs"}
        other = rejected(row, Reason.WORKER_DIED, "twice")
        assert {name for name in row if other[name] != row[name]} == changed
        assert (other["reason"], other["detail"], other["inputs"]) == (
            "worker_died",
            "twice",
            None,
        )


def test_uri_and_path_of_a_name_that_is_no_utf_8(tmp_path: Path) -> None:
    clip = clip_file("x", bytes(tmp_path) + b"/caf\xe9 #1.mp4")
    assert listed_row(clip)["uri"] == tmp_path.as_uri() + "/caf%E9%20%231.mp4"
    assert os.fsencode(clip.file()) == clip.path


def test_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert hash_content(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()
    assert [hash_content(tmp_path / "gone"), hash_content(tmp_path)] == [None, None]


@register_extractor("shown", version=1)
def shown(media: ClipMedia) -> NDArray[np.uint8] | Rejection:
    """Give three numbers, or the reason that the settings name."""
    reason = media.options.get("shown")
    return np.ones(3, np.uint8) if reason is None else Rejection(reason=reason, detail="not shown")


class TestOptional:
    @pytest.mark.parametrize("reason", list(Reason))
    def test_a_failure_that_may_pass_is_flagged(self, reason: Reason, tmp_path: Path) -> None:
        (tmp_path / "a.bin").write_text("a")
        clip = clip_file("a.bin", bytes(tmp_path / "a.bin"))
        may_pass = reason in {
            *(Reason.MISSING, Reason.NOT_FETCHED, Reason.TOO_LARGE, Reason.BAD_SERIES),
            *(Reason.TIMEOUT, Reason.WORKER_DIED, Reason.OUT_OF_MEMORY),
        }

        def row_with(needs: dict[str, bool], **options: Reason) -> Row:
            return extract_clip(
                clip, max_seconds=None, timeout_seconds=9, needs=needs, options=options
            )

        row = row_with({"shown": False, "shown_too": False}, shown=reason)
        assert (row["status"], row["modalities"]) == ("scored", ["shown_too"])
        assert row["flags"] == ["input_failed"] * may_pass
        assert row["detail"] == (f"shown: {reason}: not shown" if may_pass else None)
        both = {"shown": Reason.NO_FACE, "shown_too": reason}
        row = row_with({"shown": False, "shown_too": False}, **both)
        assert row["reason"] == (reason if may_pass else "no_face")
        assert row["flags"] == ["input_failed"] * may_pass
        row = row_with({"shown": False, "shown_too": True}, shown=reason, shown_too=reason)
        assert (row["reason"], row["flags"]) == (reason, [])


@register_extractor("shown_too", version=1)
def shown_too(media: ClipMedia) -> NDArray[np.uint8] | Rejection:
    """Do the same under another name."""
    return shown(replace(media, options={"shown": media.options.get("shown_too")}))
