"""Scores extracted clips with the predictor: rows with scores, seconds and windows.

Plain Python without Ray: the scoring cluster and `emi score` use the same class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from emi_model.audio.windows import duration_weighted_mean, tile
from emi_model.errors import OutOfMemory
from emi_model.metrics.conformal import Intervals
from emi_model.modalities import AUDIO
from emi_model.targets import VAD_DIMENSIONS, column_name
from emi_model.units import SAMPLING_RATE, samples_to_seconds
from tasks.extraction.inputs import unpack
from tasks.extraction.rows import Row
from tasks.schema.attributions import attribution_rows
from tasks.schema.outcomes import Reason, Status, rejected
from tasks.schema.scores import VAD_OF_MEAN, bound_columns
from tasks.scoring.recording_time import RecordingTime
from tasks.scoring.settings import Coverage, Why

if TYPE_CHECKING:  # a run's main process imports this module, but never loads PyTorch
    from emi_model.architecture.branch import ClipInputs
    from emi_model.attribution.contributions import Attribution
    from emi_model.predict import Predictor, Scores


class Cut(NamedTuple):
    """A clip's windows, half-open, in samples at 16 kHz, and the inputs of each by modality."""

    windows: list[tuple[int, int]]
    inputs: list[ClipInputs]


class ClipScorer:
    """Turns extracted clips into scored rows.

    Attributes:
        predictor: the model.
        coverage: ``full`` also keeps a row for each window.
        raw: keep the model's EMI scores instead of clipping them to [0, 1]; they get no intervals.
        intervals: the model's; None if it was not calibrated.
    """

    def __init__(
        self,
        predictor: Predictor,
        coverage: Coverage,
        *,
        raw: bool = False,
        intervals: Intervals | None = None,
        needs: Mapping[str, bool] | None = None,
        why: Why | None = None,
    ) -> None:
        """Score with a loaded model.

        Args:
            predictor: as the attributes.
            coverage: likewise.
            raw: likewise.
            intervals: likewise.
            needs: modalities of clips; may say more than the model's own.
            why: what scores are attributed to; None: nothing.

        Raises:
            ConfigError: the model's scores cannot be attributed.
        """
        self.predictor = predictor
        self.coverage = coverage
        self.raw = raw
        self.intervals = None if raw else intervals
        self._targets = predictor.model.config.targets
        self._columns = score_columns(self._targets)
        self._needs = needs or predictor.model.config.needs
        self._attribute = None if why is None else _attributor(predictor, why)

    def __call__(self, rows: Sequence[Row]) -> list[Row]:
        """Return rows under `tasks.schema.scores.scored_schema`, in the order of ``rows``.

        All clips' windows go through the model together. A clip that cannot be scored becomes a
        rejection.
        """
        cuts = [self._cut(row) for row in rows]
        scored = iter(self.predictor([window for cut in cuts for window in cut.inputs]))
        return [
            self._row(row, cut, list(islice(scored, len(cut.windows))))
            for row, cut in zip(rows, cuts, strict=True)
        ]

    def _cut(self, row: Row) -> Cut:
        """Return a clip's windows; none if it was rejected or is shorter than one frame."""
        inputs = unpack(row)
        window_samples = self.predictor.model.config.window_samples
        num_samples, min_samples = self._duration(inputs)
        if num_samples < min_samples:
            return Cut([], [])
        found = Cut([], [])
        for start, end in tile(num_samples, window_samples, min_samples):
            window = self._window(inputs, start, end)
            if window is not None:
                found.windows.append((start, end))
                found.inputs.append(window)
        return found

    def _duration(self, inputs: ClipInputs) -> tuple[int, int]:
        """Return a clip's duration in samples at 16 kHz, and the shortest that can be scored.

        It is that of the audio, else of the first input with a duration; without any, the clip is
        one window. Optional inputs that are too short do not count.
        """
        window_samples: int = self.predictor.model.config.window_samples
        for modality in sorted(inputs, key=lambda name: name != AUDIO):
            spec, values = self.predictor.specs[modality], inputs[modality]
            num_samples = spec.num_samples(values)
            counts = self._needs[modality] or spec.holds(values)
            if num_samples is not None and counts:
                return num_samples, spec.min_samples
        return (window_samples, 1) if inputs else (0, 1)

    def _window(self, inputs: ClipInputs, start: int, end: int) -> ClipInputs | None:
        """Return a window's inputs; None if one that the model needs is missing, or all are."""
        window = {}
        for modality, needed in self._needs.items():
            spec = self.predictor.specs[modality]
            part = spec.cut(inputs[modality], start, end) if modality in inputs else None
            if part is not None and spec.holds(part):
                window[modality] = part
            elif needed:
                return None
        return window or None

    def _row(self, row: Row, cut: Cut, found: list[Scores | OutOfMemory]) -> Row:
        for one in found:
            if isinstance(one, OutOfMemory):
                return without_scores(rejected(row, Reason.OUT_OF_MEMORY, str(one)), self._targets)
        if row["status"] == Status.SCORED.value and not found:
            row = rejected(row, Reason.TOO_SHORT, self._too_short(unpack(row)))
        done = without_scores(row, self._targets)
        scores = [one for one in found if not isinstance(one, OutOfMemory)]
        if not scores:
            return done
        try:
            attributions = self._attributions(cut, RecordingTime(row))
        except OutOfMemory as error:
            return without_scores(rejected(row, Reason.OUT_OF_MEMORY, str(error)), self._targets)
        scored = self._scored(cut, scores, RecordingTime(row))
        return done | scored | {"attributions": attributions}

    def _scored(self, cut: Cut, scores: Sequence[Scores], time: RecordingTime) -> Row:
        windows = [
            {
                "window_index": index,
                "start_seconds": time.start_seconds(start),
                "end_seconds": time.end_seconds(end),
                "num_frames": one.num_frames,
                **self._values(one),
            }
            for index, ((start, end), one) in enumerate(zip(cut.windows, scores, strict=True))
        ]
        durations = [end - start for start, end in cut.windows]
        return {
            **self._mean(windows, durations),
            **self._bounds(scores),
            "scored_seconds": samples_to_seconds(sum(durations)),
            "num_frames": sum(one.num_frames for one in scores),
            "timeline": self._timeline(cut, scores, time),
            "windows": windows if self.coverage == "full" else [],
        }

    def _values(self, scores: Scores) -> Row:
        """Return one window's columns; null if the model lacks the head."""
        values: Row = dict.fromkeys(self._columns)
        if scores.emi is not None:
            emi = scores.emi if self.raw else scores.emi.clip(0, 1)
            values |= zip(map(column_name, self._targets), emi.tolist(), strict=True)
        if scores.vad_mean is not None and scores.vad_of_mean is not None:
            values |= zip(VAD_DIMENSIONS, scores.vad_mean.tolist(), strict=True)
            values |= zip(VAD_OF_MEAN, scores.vad_of_mean.tolist(), strict=True)
        return values

    def _mean(self, windows: Sequence[Row], durations: Sequence[int]) -> Row:
        """Return a clip's columns: the mean over its windows, weighted by their durations."""
        present = [
            column
            for column in self._columns
            if all(window[column] is not None for window in windows)
        ]
        values = np.array([[window[column] for column in present] for window in windows])
        mean = duration_weighted_mean(values.astype(np.float32), durations)
        return dict(zip(present, mean.tolist(), strict=True))

    def _bounds(self, scores: Sequence[Scores]) -> Row:
        """Return the ends of a clip's intervals; none for several windows: one was calibrated."""
        emi = scores[0].emi
        if self.intervals is None or emi is None or len(scores) > 1:
            return {}
        return {
            f"{column_name(target)}_{side}": end
            for target, ends in self.intervals.bounds(emi.tolist()).items()
            for side, end in zip(("low", "high"), ends, strict=True)
        }

    def _timeline(self, cut: Cut, scores: Sequence[Scores], time: RecordingTime) -> list[Row]:
        """Return the mean frame VAD of each second; a frame belongs to the second it starts in.

        Seconds are the recording's.
        """
        frame_vad = [one.frame_vad for one in scores if one.frame_vad is not None]
        if not frame_vad:
            return []
        hop = self.predictor.hop_samples
        starts = [
            start + np.arange(one.num_frames) * hop
            for (start, _), one in zip(cut.windows, scores, strict=True)
        ]
        seconds, where, counts = np.unique(
            time.samples(np.concatenate(starts)) // SAMPLING_RATE,
            return_inverse=True,
            return_counts=True,
        )
        sums = np.zeros((len(seconds), len(VAD_DIMENSIONS)))
        np.add.at(sums, where, np.concatenate(frame_vad))
        return [
            {"second": second, **dict(zip(VAD_DIMENSIONS, mean, strict=True)), "num_frames": count}
            for second, mean, count in zip(
                seconds.tolist(), (sums / counts[:, None]).tolist(), counts.tolist(), strict=True
            )
        ]

    def _attributions(self, cut: Cut, time: RecordingTime) -> list[Row]:
        """Return a row for each target and contribution to a clip's scores, which stay unclipped.

        Raises:
            OutOfMemory: the clip does not fit, even alone.
        """
        if self._attribute is None:
            return []
        found = self._attribute(cut.windows, cut.inputs)
        return attribution_rows(found, self._targets, time.start_seconds, time.end_seconds)

    def _too_short(self, inputs: ClipInputs) -> str:
        for modality, values in inputs.items():
            fewest = self.predictor.specs[modality].min_length
            if modality == AUDIO and len(values) < fewest:
                return (
                    f"{len(values)} samples at {SAMPLING_RATE} Hz; "
                    f"one frame of this model needs {fewest}"
                )
        lengths = ", ".join(f"{len(values)} of {name}" for name, values in inputs.items())
        return f"found inputs of lengths {lengths}: too little for this model"


def score_columns(targets: Sequence[str]) -> list[str]:
    """Return the columns of a model's scores: its targets, VAD, VAD of the mean frame."""
    return [*map(column_name, targets), *VAD_DIMENSIONS, *VAD_OF_MEAN]


def without_scores(row: Mapping[str, Any], targets: Sequence[str]) -> Row:
    """Return a row with the scorer's columns, its scores null."""
    kept = {name: value for name, value in row.items() if name != "inputs"}
    columns = [*score_columns(targets), *bound_columns(targets)]
    return kept | dict.fromkeys(columns) | {"timeline": [], "windows": [], "attributions": []}


def _attributor(
    predictor: Predictor, why: Why
) -> Callable[[Sequence[tuple[int, int]], Sequence[ClipInputs]], Attribution]:
    """Return what attributes the scores of a clip, given as its windows and their inputs."""
    from emi_model.attribution.attribute import Attributor
    from emi_model.attribution.contributions import Window, over_windows

    attribute = Attributor(predictor, seconds=why == "all")

    def attributed(windows: Sequence[tuple[int, int]], inputs: Sequence[ClipInputs]) -> Attribution:
        pairs = zip(windows, inputs, strict=True)
        return over_windows([Window(*window, attribute(one)) for window, one in pairs])

    return attributed
