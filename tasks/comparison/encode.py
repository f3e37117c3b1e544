"""What frozen encoders make of the clips of a comparison, computed once before the trainings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import ray
import torch

from emi_model.architecture.encoder_branch import TRAINED
from emi_model.errors import EmiError
from emi_model.modalities import AUDIO
from emi_model.training.clips import TrainingClip
from emi_model.training.validate import predict_clips
from tasks.cluster.nodes import wait_for
from tasks.comparison.cell import CellClips, CellJob, lacks_all, reading, with_shared_frames
from tasks.comparison.workers import on_cores
from tasks.evaluation.encoded_clips import with_encoded


def encode_missing(jobs: Iterable[CellJob], clips: CellClips) -> None:
    """Encode all clips by every frozen encoder of some trainings, on all cores of the cluster.

    An encoder that fails is left to the trainings, which say why.
    """
    encoders = encoding_jobs(jobs)
    if not encoders:
        return
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    num_parts = max(1, int(resources.get("CPU", 1)))
    every = [*clips.train, *clips.choose, *(clips.measured or ())]
    shared = ray.put(every)
    encode = on_cores(encode_task, max_retries=1)
    parts = range(num_parts)
    pending: list[Any] = [
        encode.remote(job, shared, part, num_parts) for job in encoders for part in parts
    ]
    try:
        for reference in pending:
            wait_for(reference)
    except BaseException:
        for reference in pending:
            ray.cancel(reference, force=True)
        raise


def encoding_jobs(jobs: Iterable[CellJob]) -> list[CellJob]:
    """Return jobs that together have each frozen encoder once, with nothing else to build."""
    seen: set[str] = set()
    found = []
    for job in jobs:
        frozen = {
            name: own
            for name, own in job.recipe.model.branches.items()
            if own.get(TRAINED) is False and (name != AUDIO or job.recipe.train.repeats_inputs)
        }
        for name, own in frozen.items():
            backbone = job.backbone if name == AUDIO else None
            key = f"{name} {backbone} {json.dumps(own, sort_keys=True, default=str)}"
            if key in seen:
                continue
            seen.add(key)
            model = replace(job.recipe.model, branches={name: own}, fusion=None, vad_head=False)
            recipe = replace(job.recipe, model=model)
            found.append(replace(job, recipe=recipe, backbone=backbone, needs={name: False}))
    return found


def encode_task(job: CellJob, clips: Sequence[TrainingClip], part: int, num_parts: int) -> None:
    """Encode a share of clips in a Ray task."""
    torch.set_num_threads(1)
    own = [clip for clip in reading(clips[part::num_parts], job.needs) if not lacks_all(clip)]
    try:
        model = with_shared_frames(job.first_model())
        if AUDIO not in model.branches:
            with_encoded(model, own)
        elif own:
            model.audio.keep_outputs(kept=True)
            predict_clips(model, own)
    except EmiError:
        return
