"""Measures a clip: its waveform, its scored row and its transcript become evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emi_model.arrays import Doubles
from emi_model.audio.loudness import FRAME_SAMPLES, find_pauses, frame_powers, power_dbfs
from emi_model.audio.pitch import frame_pitches
from emi_model.audio.waveform import SILENCE_DBFS, Int16Waveform
from emi_model.targets import VAD_DIMENSIONS, column_name
from emi_model.units import SAMPLING_RATE
from tasks.explaining.evidence import Evidence, EvidenceSecond, Pause, Spoken
from tasks.scoring.recording_time import RecordingTime
from tasks.transcription.transcript import Transcript

MIN_VOICED_FRAMES = 5
"""Of a second, 0.1 s: with fewer it has no pitch."""

DIGITS = 4
"""Of every value in the evidence, after the point."""


def evidence_of(
    waveform: Int16Waveform | None,
    row: Mapping[str, Any],
    targets: Sequence[str],
    transcript: Transcript | None,
) -> Evidence:
    """Return the evidence of a scored clip. Seconds are the recording's, as in ``timeline``.

    Args:
        waveform: int16 (samples,), 16 kHz mono, that the scores were computed from; None without.
        row: its scored row, as `tasks.scoring.clip_scorer.ClipScorer` returns it.
        targets: of the model.
        transcript: what is said in the waveform; None if nobody transcribed it.
    """
    by_second: dict[int, dict[str, float]] = {
        one["second"]: {name: one[name] for name in VAD_DIMENSIONS} for one in row["timeline"]
    }
    seconds = max((second + 1.0 for second in by_second), default=row["scored_seconds"] or 0.0)
    heard: dict[str, Any] = {}
    if waveform is not None and len(waveform):
        time = RecordingTime(row)
        seconds = time.end_seconds(len(waveform))
        sound, heard = _heard(waveform, time)
        for second, values in sound.items():
            by_second.setdefault(second, {}).update(values)
        if transcript is not None:
            heard["spoken"] = _spoken(transcript, time, len(waveform))
    columns = [column_name(target) for target in targets]
    return Evidence(
        seconds=round(seconds, DIGITS),
        timeline=tuple(
            EvidenceSecond(second, **_rounded(by_second[second])) for second in sorted(by_second)
        ),
        face_share=row.get("face_share"),
        scores=_rounded({name: row[name] for name in columns if row[name] is not None}),
        vad=_rounded({name: row[name] for name in VAD_DIMENSIONS if row[name] is not None}),
        **heard,
    )


def _heard(
    waveform: Int16Waveform, time: RecordingTime
) -> tuple[dict[int, dict[str, float]], dict[str, Any]]:
    """Return loudness and pitch by second, and the measures of the whole waveform."""
    powers, pitches = frame_powers(waveform), frame_pitches(waveform)
    starts = np.arange(len(powers)) * FRAME_SAMPLES
    of_frames = time.samples(starts) // SAMPLING_RATE
    lengths = np.minimum(len(waveform) - starts, FRAME_SAMPLES).astype(np.float64)
    sound = {
        int(second): _of_second(of_frames == second, powers, pitches, lengths)
        for second in np.unique(of_frames)
    }
    voiced = pitches[np.isfinite(pitches)]
    levels = power_dbfs(powers)
    pauses = [
        Pause(
            round(time.start_seconds(start * FRAME_SAMPLES), DIGITS),
            round(time.end_seconds(end * FRAME_SAMPLES), DIGITS),
        )
        for start, end in find_pauses(levels)
    ]
    return sound, {
        "loudness_dbfs": round(_loudness(powers, lengths), DIGITS),
        "pitch_hz": round(float(np.median(voiced)), DIGITS)
        if len(voiced) >= MIN_VOICED_FRAMES
        else None,
        "pauses": tuple(pauses) if levels.max() >= SILENCE_DBFS else None,
    }


def _of_second(
    chosen: NDArray[np.bool_], powers: Doubles, pitches: Doubles, lengths: Doubles
) -> dict[str, float]:
    found = {"loudness_dbfs": _loudness(powers[chosen], lengths[chosen])}
    voiced = pitches[chosen][np.isfinite(pitches[chosen])]
    if len(voiced) >= MIN_VOICED_FRAMES:
        found["pitch_hz"] = float(np.median(voiced))
    return found


def _loudness(powers: Doubles, lengths: Doubles) -> float:
    mean = np.average(powers, weights=lengths, keepdims=True)
    return float(power_dbfs(mean)[0])


def _spoken(transcript: Transcript, time: RecordingTime, num_samples: int) -> tuple[Spoken, ...]:
    """Return the segments with words, at the recording's seconds."""

    def place(seconds: float) -> int:
        return min(max(int(seconds * SAMPLING_RATE + 0.5), 0), num_samples)

    return tuple(
        Spoken(
            round(time.start_seconds(min(place(one.start_seconds), num_samples - 1)), DIGITS),
            round(time.end_seconds(max(place(one.end_seconds), 1)), DIGITS),
            one.text,
        )
        for one in transcript.segments
        if one.text
    )


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(float(value), DIGITS) for name, value in values.items()}
