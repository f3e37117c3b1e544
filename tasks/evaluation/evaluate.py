"""Evaluation: how well a model follows labels, with what uncertainty, on which clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emi_model.architecture.model import EmiModel
from emi_model.arrays import Doubles
from emi_model.checkpoints.checkpoint import LoadedModel
from emi_model.errors import CheckpointError, LabelError
from emi_model.metrics.bootstrap import evaluate_with_intervals
from emi_model.metrics.conformal import Intervals
from emi_model.targets import column_name
from emi_model.training.validate import predict_clips
from tasks.evaluation.encoded_clips import with_encoded
from tasks.evaluation.report import EvaluationReport, Standing
from tasks.evaluation.subsets import evaluate_subsets
from tasks.labels.label_set import LabelledRow, LabelSet
from tasks.labels.labelled_clips import CachedClip, LabelledAudio
from tasks.labels.splits import TRAIN, VALID
from tasks.provenance import new_run_id

EvaluatedClips = Sequence[CachedClip] | Sequence[LabelledRow]

CLIPS_PER_REPORT = 64
"""EvaluatedClips predicted between two reports of progress."""


def evaluate_gathered(
    loaded: LoadedModel,
    gathered: LabelledAudio,
    split: str,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationReport:
    """Score the clips of a split with a model and compare the scores with their labels.

    Raises:
        LabelError: the labels are of other targets, or no clip is left.
        CheckpointError: the model gives values that are not finite.
        OutOfMemory: a clip that does not fit, even alone.
    """
    targets = loaded.model.config.targets
    label_columns(gathered.labels, targets)
    clips = gathered.of_split(split)
    return evaluate_predictions(
        predict(loaded.model, clips, on_progress=on_progress),
        clips,
        model=loaded.card.name,
        model_sha256=loaded.sha256,
        targets=targets,
        labels=gathered.labels,
        split=split,
        missing=gathered.missing,
        intervals=loaded.intervals,
        training_clips=loaded.training_clips,
        extractors=gathered.extractors,
    )


def predict(
    model: EmiModel,
    clips: Sequence[CachedClip],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Return what `emi_model.training.validate.predict_clips` gives, and report how far it is."""
    clips = with_encoded(model, clips)
    predicted = [np.zeros((0, model.config.num_targets), np.float32)]
    for start in range(0, len(clips), CLIPS_PER_REPORT):
        predicted.append(predict_clips(model, clips[start : start + CLIPS_PER_REPORT]))
        if on_progress is not None:
            on_progress(min(start + CLIPS_PER_REPORT, len(clips)), len(clips))
    return np.concatenate(predicted)


def evaluate_predictions(
    predictions: ArrayLike,
    clips: EvaluatedClips,
    *,
    model: str,
    model_sha256: str,
    targets: Sequence[str],
    labels: LabelSet,
    split: str,
    missing: Mapping[str, str],
    intervals: Intervals | None = None,
    training_clips: Mapping[str, Collection[str]] | None = None,
    extractors: Mapping[str, Mapping[str, str]] | None = None,
) -> EvaluationReport:
    """Return a model's figures on labelled clips: 95 % intervals clustered by speaker.

    Args:
        predictions: (N, T) in [0, 1], in the order of the model's targets.
        clips: the N clips, all those of the split that are not missing.
        model: its name.
        model_sha256: hash of its config and weights.
        targets: the model's T targets.
        labels: what the clips are labelled by.
        split: whose clips they are.
        missing: why a labelled clip is not among them, by clip id; clips of other splits are left
            out of the report.
        intervals: the model's.
        training_clips: SHA-256 (hex) of the contents that its training used, by split, of which
            ``train`` fitted the weights and ``valid`` chose the epoch and calibrated the
            intervals; None or empty: unknown.
        extractors: facts of what made the model's inputs by modality.

    Raises:
        LabelError: the labels are of other targets, or no clip is left.
        CheckpointError: predictions that are not finite.
        ValueError: shapes that do not fit, or clips of the split that are neither here nor missing.
    """
    columns = label_columns(labels, targets)
    own = {row.clip_id for row in labels.of_split(split)}
    lost = {clip_id: reason for clip_id, reason in missing.items() if clip_id in own}
    if {clip.clip_id for clip in clips} | lost.keys() != own or len(clips) + len(lost) != len(own):
        raise ValueError(f"{len(clips)} clips and {len(lost)} missing of {len(own)}")
    if not clips:
        raise LabelError(_nothing_left(split, lost))
    predicted = np.asarray(predictions, np.float64)
    truth = np.array([clip.emi[columns] for clip in clips], np.float64)
    if not np.isfinite(predicted).all():
        raise CheckpointError(f"{model}: gives values that are not finite: train it again")
    speakers = tuple(clip.speaker for clip in clips)
    cached = [clip for clip in clips if isinstance(clip, CachedClip)]
    used = training_clips or _calibrated_on(intervals, labels, split, clips)
    return EvaluationReport(
        evaluation_id=new_run_id(),
        evaluated_at=datetime.now(UTC),
        model=model,
        model_sha256=model_sha256,
        labels=labels,
        split=split,
        evaluation=evaluate_with_intervals(predicted, truth, targets, groups=speakers),
        standing=_standing(predicted, truth, clips, intervals, used),
        missing=lost,
        num_speakers=len(set(speakers)) if all(speakers) else None,
        predictions=predicted,
        truth=truth,
        speakers=speakers,
        intervals=intervals,
        subsets=evaluate_subsets(cached, predicted, truth, targets) if cached else (),
        extractors=extractors or {},
    )


def label_columns(labels: LabelSet, targets: Sequence[str]) -> list[int]:
    """Return where each of the model's targets stands among those of the labels.

    Raises:
        LabelError: they are not the same.
    """
    places = {column_name(target): place for place, target in enumerate(labels.targets)}
    wanted = [column_name(target) for target in targets]
    if set(wanted) != set(places):
        raise LabelError(
            f"found labels of {', '.join(labels.targets)}, expected the model's targets "
            f"({', '.join(targets) or 'none: it gives arousal, dominance, valence alone'}): choose "
            "labels of the same, or another model"
        )
    return [places[name] for name in wanted]


def _standing(
    predicted: Doubles,
    truth: Doubles,
    clips: EvaluatedClips,
    intervals: Intervals | None,
    training_clips: Mapping[str, Collection[str]],
) -> Standing:
    contents = [clip.content_sha256 for clip in clips]
    trained_on = frozenset(training_clips.get(TRAIN, ()))
    used = trained_on.union(*training_clips.values())
    held_out = np.array([content not in used for content in contents])
    return Standing(
        num_trained_on=sum(content in trained_on for content in contents) if trained_on else None,
        num_held_out=int(held_out.sum()) if used else None,
        coverage=intervals.coverage(predicted[held_out], truth[held_out])
        if intervals is not None and held_out.any()
        else {},
        coverage_level=None if intervals is None else intervals.level,
    )


def _calibrated_on(
    intervals: Intervals | None, labels: LabelSet, split: str, clips: EvaluatedClips
) -> dict[str, list[str]]:
    """Return the clips of the split that the intervals name; for models without a list of clips."""
    if split != VALID or intervals is None or intervals.split_sha256 != labels.split_sha256:
        return {}
    return {VALID: [clip.content_sha256 for clip in clips]}


def _nothing_left(split: str, missing: Mapping[str, str]) -> str:
    if not missing:
        return f"found no labelled clip in split {split}: choose another --split"
    reasons = Counter(str(reason) for reason in missing.values()).most_common(1)
    return (
        f"all {len(missing)} labelled clips of split {split} are missing, mostly: {reasons[0][0]}: "
        "check --corpus"
    )
