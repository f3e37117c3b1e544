"""Labelled clips with what a model's frozen encoders make of them, in place of the raw inputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch

from emi_model.architecture.audio_branch import HASH_DIGITS
from emi_model.architecture.encoder_branch import EncoderBranch
from emi_model.architecture.model import EmiModel
from emi_model.training.clips import TrainingClip
from emi_model.training.group import SingleProcess
from tasks.extraction.registry import extractor_of
from tasks.labels.audio_cache import AudioCache
from tasks.labels.cache_files import stem_in
from tasks.labels.labelled_clips import CachedClip

SomeClip = TypeVar("SomeClip", bound=TrainingClip)

ENCODED_AT_ONCE = 64
"""Clips whose inputs are in memory at once while they are encoded, batched by their lengths."""


def with_encoded(
    model: EmiModel,
    clips: Sequence[SomeClip],
    *,
    device: str | None = None,
    group: SingleProcess | None = None,
) -> tuple[SomeClip, ...]:
    """Return clips whose inputs are the outputs of a model's frozen encoders; encode what lacks.

    Args:
        model: whose encoders; without frozen ones the clips are returned as they are.
        clips: those with their inputs in the audio cache; others are returned as they are.
        device: where to encode; default: CUDA if available.
        group: the processes that share the work; all of them have to call this.

    Raises:
        CorpusError: the cache cannot be read or written.
    """
    group = group or SingleProcess()
    frozen = {
        modality: branch
        for modality, branch in model.each_branch().items()
        if isinstance(branch, EncoderBranch) and not branch.trained
    }
    cached = [clip for clip in clips if isinstance(clip, CachedClip)]
    if not frozen or not cached:
        return tuple(clips)
    model.to(torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")))
    folders = {}
    for modality, branch in frozen.items():
        raw = _raw_folder(cached[0], modality)
        folder = f"{raw}-e{branch.encoder_sha256()[:HASH_DIGITS]}"
        _encode(modality, branch, raw, folder, cached[group.rank :: group.size])
        folders[modality] = folder
    group.gather_objects([])  # nobody reads what another process has not written yet
    encoded: Any = (
        replace(clip, folders={**clip.folders, **folders}) if isinstance(clip, CachedClip) else clip
        for clip in clips
    )
    return tuple(encoded)


def _encode(
    modality: str, branch: EncoderBranch, raw_folder: str, folder: str, clips: Sequence[CachedClip]
) -> None:
    """Encode clips that the folder of a cache lacks."""
    if not clips:
        return
    encoded = AudioCache(clips[0].cache, {modality: False}, folders={modality: folder})
    raw = AudioCache(encoded.root, {modality: False}, folders={modality: raw_folder})
    keys = dict.fromkeys(stem_in(clip.cache_key, folder) for clip in clips)
    lacking = [key for key in keys if not _is_encoded(key, encoded, raw)]
    was_training = branch.training
    branch.eval()
    for start in range(0, len(lacking), ENCODED_AT_ONCE):
        some = lacking[start : start + ENCODED_AT_ONCE]
        found = {key: raw.inputs(key).get(modality) for key in some}
        usable = {
            key: values
            for key, values in found.items()
            if values is not None and branch.spec.holds(values)
        }
        outputs = dict(zip(usable, branch.encode([*usable.values()]), strict=True))
        for key in some:
            encoded.keep(key, modality, outputs.get(key))
    branch.train(was_training)


def _is_encoded(key: str, encoded: AudioCache, raw: AudioCache) -> bool:
    """Return whether an input need not be encoded: it was, or there is still nothing to encode."""
    if encoded.absent(key):
        return bool(raw.absent(key)) or not raw.has(key)
    return encoded.has(key)


def _raw_folder(clip: CachedClip, modality: str) -> str:
    """Return the folder of a modality's inputs in a clip's cache."""
    found = clip.folders.get(modality) or extractor_of(modality).folder()
    return re.sub(rf"-e[0-9a-f]{{{HASH_DIGITS}}}$", "", found)  # it may be encoded already
