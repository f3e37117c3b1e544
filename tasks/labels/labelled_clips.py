"""From labels to clips that can be heard: what is labelled, found, and in the audio cache."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from emi_model.arrays import Floats
from emi_model.modalities import AUDIO_NEEDED
from tasks.cluster.budget import machine_budget
from tasks.corpus.clips import ClipFile
from tasks.corpus.listing import list_clips
from tasks.extraction.registry import NAMED, NO_SETTINGS, extractor_facts
from tasks.home import home
from tasks.labels.audio_cache import AudioCache
from tasks.labels.cache_files import cache_key
from tasks.labels.label_set import LabelledRow, LabelSet


@dataclass(frozen=True, eq=False)
class CachedClip:
    """An `emi_model.training.clips.TrainingClip` that is read from the cache each time it is heard.

    Attributes:
        clip_id: path below the corpus root.
        content_sha256: hash of the clip's file, hex.
        emi: (targets,) in [0, 1].
        vad: (3,) arousal, dominance, valence in [0, 1]; None where nobody rated it.
        speaker: who speaks; empty where unknown.
        num_raters: raters behind its labels; None where unknown.
        num_samples: samples in the cache.
        cache: folder of the cache.
        needs: modalities to read, as the cache was filled with them.
        folders: of the modalities in the cache, by name.
    """

    clip_id: str
    content_sha256: str
    emi: Floats
    vad: Floats | None
    speaker: str
    num_samples: int
    cache: Path
    needs: Mapping[str, bool] = field(default_factory=lambda: dict(AUDIO_NEEDED))
    num_raters: float | None = None
    folders: Mapping[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> dict[str, NDArray[Any]]:
        """By modality; ``audio`` is int16 (samples,), 16 kHz mono. An absent one is left out."""
        return self._cached().inputs(self.cache_key)

    def facts(self, modality: str) -> dict[str, Any]:
        """Return what the modality's extractor noted of the clip, as a text's language."""
        return self._cached().facts(self.cache_key, modality)

    @property
    def absent(self) -> tuple[str, ...]:
        """The modalities that it lacks."""
        return self._cached().absent(self.cache_key)

    @property
    def inputs_id(self) -> str:
        """The hash of its file, and the folders of the cache that have its inputs.

        With its name, where inputs depend on it.
        """
        folders = [f"{modality}={self.folders.get(modality, '')}" for modality in self.needs]
        named = any(NAMED in folder for folder in folders)
        return " ".join([self.cache_key if named else self.content_sha256, *sorted(folders)])

    @property
    def cache_key(self) -> str:
        """What its inputs are found by in the cache."""
        return cache_key(self.content_sha256, self.clip_id)

    def _cached(self) -> AudioCache:
        return AudioCache(self.cache, self.needs, folders=self.folders)


CACHE_FOLDER = "cache"

MIN_SAMPLES = 400
"""One frame of the standard conv stack: 25 ms."""


@dataclass(frozen=True)
class LabelledAudio:
    """Labelled clips and their audio.

    Attributes:
        labels: the labels that were asked for.
        clips: whose audio is in the cache, by split, in the labels' order.
        missing: why a labelled clip is not among them, by clip id.
        extractors: facts of the extractors of their inputs by modality, for a model's card.
    """

    labels: LabelSet
    clips: Mapping[str, tuple[CachedClip, ...]]
    missing: Mapping[str, str]
    extractors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of_split(self, split: str) -> tuple[CachedClip, ...]:
        """Return the clips of a split."""
        return self.clips.get(split, ())


def load_labelled_audio(
    labels: LabelSet,
    corpus: str,
    splits: Sequence[str],
    *,
    min_samples: int = MIN_SAMPLES,
    needs: Mapping[str, bool] = AUDIO_NEEDED,
    options: Mapping[str, Any] = NO_SETTINGS,
    on_progress: Callable[[int, int], None] | None = None,
) -> LabelledAudio:
    """Extract the audio of labelled clips to the cache, once for all that use it.

    Args:
        labels: what is labelled.
        corpus: folder, file or manifest that holds the clips.
        splits: which splits are wanted.
        min_samples: one frame of the model: shorter clips are missing.
        needs: modalities to extract, each with whether a clip without it is missing.
        options: settings of extractors by modality.
        on_progress: called with clips done and all clips.

    Raises:
        CorpusError: the corpus holds no clip.
    """
    cache = AudioCache(home() / CACHE_FOLDER, needs, options)
    wanted = [row for row in labels.clips if row.split in splits]
    files = _files_of(wanted, list_clips(corpus))
    found = [(files[row.clip_id], row.content_sha256) for row in wanted if row.clip_id in files]
    missing = {row.clip_id: "not in the corpus" for row in wanted if row.clip_id not in files}
    decoders = machine_budget().cores
    failed = cache.fill(found, decoders=decoders, on_progress=on_progress)
    missing |= {clip_id: f"{why.reason}: {why.detail}" for clip_id, why in failed.items()}
    folders = cache.folders()
    clips: dict[str, list[CachedClip]] = {split: [] for split in splits}
    for row in wanted:
        if row.clip_id in missing:
            continue
        num_samples = cache.num_samples(cache_key(row.content_sha256, row.clip_id))
        if num_samples < min_samples:
            missing[row.clip_id] = f"{num_samples} samples, expected {min_samples} or more"
            continue
        clips[row.split].append(
            CachedClip(
                clip_id=row.clip_id,
                content_sha256=row.content_sha256,
                emi=row.emi,
                vad=row.vad,
                speaker=row.speaker,
                num_samples=num_samples,
                cache=cache.root,
                needs=dict(needs),
                num_raters=row.num_raters,
                folders=folders,
            )
        )
    of_splits = {split: tuple(rows) for split, rows in clips.items()}
    return LabelledAudio(labels, of_splits, missing, extractor_facts(needs, options))


def _files_of(rows: Sequence[LabelledRow], clips: Sequence[ClipFile]) -> dict[str, ClipFile]:
    """Return the files of labelled clips by clip id; the corpus may compose accents another way."""
    files = {clip.clip_id: clip for clip in clips}
    if all(row.clip_id in files for row in rows):
        return files
    composed = {unicodedata.normalize("NFC", clip.clip_id): clip for clip in clips}
    for row in rows:
        clip = composed.get(unicodedata.normalize("NFC", row.clip_id))
        if row.clip_id not in files and clip is not None:
            files[row.clip_id] = clip._replace(clip_id=row.clip_id)
    return files
