"""What is measured in a clip, second by second: all that a sentence about it may cite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class EvidenceSecond:
    """One second of a recording: from ``second`` to ``second`` + 1 s. None: not measured.

    Attributes:
        second: counted from 0, as in the table ``timeline``.
        loudness_dbfs: root mean square over the second, dB relative to full scale.
        pitch_hz: median over its voiced frames; None with fewer than five of them (0.1 s).
        arousal: the model's mean over its frames, about 0 to 1.
        dominance: likewise.
        valence: likewise.
    """

    second: int
    loudness_dbfs: float | None = None
    pitch_hz: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    valence: float | None = None


@dataclass(frozen=True)
class Spoken:
    """Words that an ASR model heard, between two seconds of the recording."""

    start_seconds: float
    end_seconds: float
    text: str


@dataclass(frozen=True)
class Pause:
    """A stretch without sound between sounds, in seconds of the recording."""

    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class Evidence:
    """All that was measured in one clip.

    Attributes:
        seconds: where what was measured ends in the recording.
        timeline: its seconds, in order.
        loudness_dbfs: root mean square over all of its sound; None without sound.
        pitch_hz: median over its voiced frames; None where no frame is voiced.
        pauses: in order; None without sound, or where all of it is below -60 dBFS.
        spoken: in order; empty: nobody speaks; None: no ASR model was given, or no sound.
        face_share: share of the pictures that show the clip's face; None: the model does not see.
        scores: the model's, by column: its targets.
        vad: the model's arousal, dominance, valence over the clip, where it has them.
    """

    seconds: float
    timeline: tuple[EvidenceSecond, ...] = ()
    loudness_dbfs: float | None = None
    pitch_hz: float | None = None
    pauses: tuple[Pause, ...] | None = None
    spoken: tuple[Spoken, ...] | None = None
    face_share: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    vad: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Evidence:
        """Return what `to_json` wrote."""
        found: dict[str, Any] = json.loads(text)
        found["timeline"] = tuple(EvidenceSecond(**one) for one in found["timeline"])
        if found["pauses"] is not None:
            found["pauses"] = tuple(Pause(**one) for one in found["pauses"])
        if found["spoken"] is not None:
            found["spoken"] = tuple(Spoken(**one) for one in found["spoken"])
        return cls(**found)
