"""What can be said of a clip beside its scores: why it was rejected, what to know of its audio."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Every listed clip ends as one of these."""

    SCORED = "scored"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Why a clip has no scores; the tool's own words stand beside it in ``detail``."""

    MISSING = "missing"
    """No file at this path (any more)."""
    UNREADABLE = "unreadable"
    """The file cannot be opened, or its bytes are no media of a known container."""
    NO_AUDIO_TRACK = "no_audio_track"
    """A media file without any audio track."""
    UNSUPPORTED_CODEC = "unsupported_codec"
    """An audio track whose codec has no allowed decoder."""
    ENCRYPTED = "encrypted"
    """An audio track that needs a key."""
    REFUSED = "refused"
    """A format that may open other files or sockets: playlists and scripts."""
    NO_SAMPLES = "no_samples"
    """A decodable track that gave no sample."""
    NOT_FETCHED = "not_fetched"
    """Object storage has it and does not give it, or not unchanged; the next run tries again."""
    TOO_LARGE = "too_large"
    """Object storage has it, and it is larger than all of the scratch folder may be."""
    TOO_SHORT = "too_short"
    """Fewer samples than one frame of the backbone needs."""
    TIMEOUT = "timeout"
    """Extraction took longer than allowed."""
    WORKER_DIED = "worker_died"
    """The clip ended its worker process twice."""
    OUT_OF_MEMORY = "out_of_memory"
    """The clip did not fit into memory, even alone."""


class Flag(StrEnum):
    """What a reader of a scored row should know."""

    TRUNCATED = "truncated"
    """The clip is longer than what was scored."""
    SILENT = "silent"
    """The audio's RMS level lies below -60 dBFS."""
    CLIPPED = "clipped"
    """At least 0.1 % of the samples lie at full scale."""
    SHORT_DECODE = "short_decode"
    """The track declares clearly more seconds than could be decoded."""
