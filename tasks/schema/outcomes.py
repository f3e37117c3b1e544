"""The outcome of a clip beside its scores: why it was rejected, flags of its audio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Every listed clip ends as one of these."""

    SCORED = "scored"
    TRANSCRIBED = "transcribed"
    EXPLAINED = "explained"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Why a clip has no scores; ``detail`` holds the tool's own message."""

    MISSING = "missing"
    """No file at this path (any more)."""
    UNREADABLE = "unreadable"
    """The file cannot be opened, or its bytes are no media of a known container."""
    NO_AUDIO_TRACK = "no_audio_track"
    """A media file without any audio track."""
    NO_VIDEO = "no_video_track"
    """A media file without any video track, for a model that must see; cover pictures are none."""
    NO_FACE = "no_face"
    """No picture of the clip shows a face, for a model that must see one."""
    UNSUPPORTED_CODEC = "unsupported_codec"
    """An audio or video track whose codec has no allowed decoder."""
    ENCRYPTED = "encrypted"
    """An audio track that needs a key."""
    UNSUPPORTED_FORMAT = "unsupported_format"
    """A format that is not decoded: pictures, subtitles, rare containers."""
    REFUSED = "refused"
    """A format that may open other files or sockets: playlists and scripts."""
    NO_SAMPLES = "no_samples"
    """A decodable track that gave no sample."""
    NOT_FETCHED = "not_fetched"
    """Object storage has it, but refuses it or changes it meanwhile; the next run tries again."""
    TOO_LARGE = "too_large"
    """Object storage has it, and it is larger than all of the scratch folder may be."""
    TOO_SHORT = "too_short"
    """Fewer samples than one frame of the backbone needs."""
    NO_SPEECH = "no_speech"
    """Nobody speaks in it, and the model needs words."""
    NO_SERIES = "no_series"
    """The features that were given hold nothing of this clip; the next run tries again."""
    BAD_SERIES = "bad_series"
    """The clip's features cannot be read, or are not what the model takes; likewise."""
    TIMEOUT = "timeout"
    """Extraction took longer than allowed."""
    WORKER_DIED = "worker_died"
    """The clip twice ended its worker process, or raised an error that nobody expects."""
    OUT_OF_MEMORY = "out_of_memory"
    """The clip did not fit into memory, even alone."""


ABSENCES = frozenset(
    {
        Reason.UNREADABLE,
        Reason.NO_AUDIO_TRACK,
        Reason.NO_VIDEO,
        Reason.NO_FACE,
        Reason.UNSUPPORTED_CODEC,
        Reason.ENCRYPTED,
        Reason.UNSUPPORTED_FORMAT,
        Reason.REFUSED,
        Reason.NO_SAMPLES,
        Reason.TOO_SHORT,
        Reason.NO_SPEECH,
        Reason.NO_SERIES,
    }
)
"""Why a clip lacks an input for good: the same file gives none the next time either.

Any other reason is a failure that may pass (no time, no memory, a dead process, no file), or that
somebody has to mend (`Reason.BAD_SERIES`: the clip has features). It says nothing of the clip.
"""


class Flag(StrEnum):
    """What a reader of a scored row should consider."""

    TRUNCATED = "truncated"
    """The clip is longer than what was scored."""
    SILENT = "silent"
    """The audio's RMS level lies below -60 dBFS."""
    CLIPPED = "clipped"
    """At least 0.1 % of the samples lie at full scale."""
    SHORT_DECODE = "short_decode"
    """The track declares clearly more seconds than could be decoded, or ffmpeg stopped early."""
    MEAN_OF_CHANNELS = "mean_of_channels"
    """The track declares no channel layout: mono is the mean of its three or more channels."""
    AMBISONIC_W = "ambisonic_w"
    """The track is ambisonic: mono is its W channel."""
    ONE_CHANNEL = "one_channel"
    """The two channels cancel each other in their sum: mono is the first."""
    INPUT_FAILED = "input_failed"
    """An optional input failed for a reason not in `ABSENCES`; the next run tries again."""


DOUBTFUL = (Flag.SILENT, Flag.CLIPPED, Flag.SHORT_DECODE)
"""A clip with one of these has scores that say little: `trusted_scores` leaves it out."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Facts of the audio track that a waveform came from, or should have come from.

    Attributes:
        codec: libav's name of the codec.
        sampling_rate: Hz of the track itself.
        channels: Number of channels of the track itself.
        track: Which of the file's audio tracks, counted from 1.
        num_tracks: Number of audio tracks in the file.
        declared_seconds: Duration that the track declares, else the container's.
        audio_start_seconds: Where the track begins in the recording; less than 0.1 s counts as 0.
    """

    codec: str | None = None
    sampling_rate: int | None = None
    channels: int | None = None
    track: int | None = None
    num_tracks: int | None = None
    declared_seconds: float | None = None
    audio_start_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Rejection(Source):
    """A clip without a waveform: why, and one line (at most 300 characters) in the tool's words."""

    reason: Reason
    detail: str


def rejected(row: Mapping[str, Any], reason: Reason, detail: str) -> dict[str, Any]:
    """Return a clip's row as that of a rejected clip."""
    return {
        **row,
        "status": Status.REJECTED.value,
        "reason": reason.value,
        "detail": detail,
        "inputs": None,
    }
