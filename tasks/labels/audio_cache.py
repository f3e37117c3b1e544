"""The audio cache: the inputs of labelled clips, extracted once, by the content they came from.

    <root>/v1/1f/1f0c....flac               audio, version 1 of its extractor
    <root>/MODALITY-v2/1f/1f0c....npy       another modality
    <root>/MODALITY-v2/1f/1f0c....absent    the clip lacks it
    <root>/MODALITY-v2/1f/1f0c....json      facts that its extractor noted, as a text's language
    <root>/MODALITY-v2-eHASH/1f/...         what a frozen encoder of that hash made of the input

A modality whose extractor has settings that change its input has a folder for each of them:
MODALITY-v2-KEY. Where an input depends on the clip's name, too, as features from a table do, the
folder ends in -named, and its files are called 1f0c...-HASH, by a hash of the name.

FLAC keeps every sample. A file is written aside, synced and renamed, so processes that fill the
cache at once do the same work twice at worst; a file is whole and is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import soundfile
from numpy.typing import NDArray

from emi_model.audio.waveform import Int16Waveform
from emi_model.errors import CorpusError
from emi_model.modalities import AUDIO, AUDIO_NEEDED, size_of
from tasks.corpus.clips import ClipFile
from tasks.extraction.audio import TIMEOUT_SECONDS
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import unpack
from tasks.extraction.registry import NO_SETTINGS, extractor_of
from tasks.extraction.rows import NOTED, UNGIVEN, extract_clip, failures
from tasks.labels.cache_files import (
    advice,
    cache_key,
    read_facts,
    read_values,
    stem_in,
    write_facts,
    write_values,
)
from tasks.threads import Progress, map_in_threads

CACHED_SECONDS = 60.0
"""Audio kept of a clip, from its start: five windows of the paper's 12 s."""

ABSENT_SUFFIX = ".absent"
"""Suffix of an empty file: the content lacks a modality that it need not have."""

FACTS_SUFFIX = ".json"

CHANGED = "changed"
"""Reason of a clip whose file is no longer the one that was labelled."""


class CacheFailure(NamedTuple):
    """Why a clip has no cached audio.

    Attributes:
        reason: of `tasks.schema.outcomes.Reason`, or ``changed``.
        detail: the tool's own words.
    """

    reason: str
    detail: str

    def __str__(self) -> str:
        """Return both, for people."""
        return f"{self.reason}: {self.detail}"


class AudioCache:
    """A cache in a folder, shared by all processes that name it.

    Attributes:
        root: its folder; made when something is written.
        needs: modalities to keep, each with whether a clip without it is a failure.
        options: settings of extractors by modality.
    """

    def __init__(
        self,
        root: Path,
        needs: Mapping[str, bool] = AUDIO_NEEDED,
        options: Mapping[str, Any] = NO_SETTINGS,
        folders: Mapping[str, str] = NO_SETTINGS,
    ) -> None:
        """Take a folder; nothing is read or written yet.

        Args:
            root: as the attribute.
            needs: likewise.
            options: likewise; to read alone, the folders are enough.
            folders: names of the modalities' folders, as `folders` gave them.
        """
        self.root = root
        self.needs = needs
        self.options = options
        self._folders = dict(folders)

    def folders(self) -> dict[str, str]:
        """Return the names of the modalities' folders."""
        return {modality: self._folder(modality) for modality in self.needs}

    def fill(
        self,
        clips: Sequence[tuple[ClipFile, str]],
        *,
        decoders: int,
        on_progress: Progress | None = None,
    ) -> Mapping[str, CacheFailure]:
        """Extract what is not there yet.

        Args:
            clips: each with the hash of its content when it was labelled.
            decoders: extractions at a time.
            on_progress: called with clips done and their total; cached ones count at once.

        Returns:
            The clips that could not be cached by clip id; they are tried again the next time. So
            is one whose optional modality failed for a reason that is not in the clip, such as a
            time limit: that is no proof that it lacks it.

        Raises:
            CorpusError: the cache cannot be written.
            MediaToolError: there is no usable ffmpeg.
        """
        lacking = [item for item in clips if self._lacking(cache_key(item[1], item[0].clip_id))]
        num_there = len(clips) - len(lacking)

        def report(num_done: int, _: int) -> None:
            if on_progress is not None:
                on_progress(num_there + num_done, len(clips))

        report(0, 0)
        found = map_in_threads(lacking, self._extractor, threads=decoders, on_progress=report)
        failures = zip((clip.clip_id for clip, _ in lacking), found, strict=True)
        return {clip_id: failure for clip_id, failure in failures if failure is not None}

    def read(self, key: str, start: int = 0, num_samples: int | None = None) -> Int16Waveform:
        """Return audio, int16 (samples,), 16 kHz mono, the very samples that extraction gave.

        Args:
            key: of the clip, as `cache_key` gives it; where no input depends on names, the hash
                of its content is enough.
            start: first sample.
            num_samples: at most so many; None for all that follow.

        Raises:
            CorpusError: the content is not in the cache, or its file is damaged.
        """
        with self._opened(key) as sound:
            sound.seek(min(start, sound.frames))
            waveform: Int16Waveform = sound.read(
                -1 if num_samples is None else num_samples, dtype="int16"
            )
        return waveform

    def inputs(self, key: str) -> dict[str, NDArray[Any]]:
        """Return all inputs of a content by modality, without those that it lacks.

        Raises:
            CorpusError: as `read`.
        """
        found: dict[str, NDArray[Any]] = {}
        for modality in self.needs:
            if self._is_absent(key, modality):
                continue
            if modality == AUDIO:
                found[modality] = self.read(key)
            else:
                found[modality] = read_values(self._file(key, modality))
        return found

    def facts(self, key: str, modality: str) -> dict[str, Any]:
        """Return what the modality's extractor noted of a content; empty if nothing.

        Raises:
            CorpusError: the file is damaged.
        """
        return read_facts(self._file(key, modality, FACTS_SUFFIX))

    def absent(self, key: str) -> tuple[str, ...]:
        """Return the modalities that a content lacks."""
        return tuple(name for name in self.needs if self._is_absent(key, name))

    def num_samples(self, key: str) -> int:
        """Return how many samples are cached of a content; without audio, as `size_of` counts.

        Raises:
            CorpusError: as `read`.
        """
        if AUDIO not in self.needs or self._is_absent(key, AUDIO):
            return size_of(self.inputs(key))
        with self._opened(key) as sound:
            return int(sound.frames)

    def has(self, key: str) -> bool:
        """Return whether a content is in the cache, in all modalities."""
        return not self._lacking(key)

    def keep(self, key: str, modality: str, values: NDArray[Any] | None) -> None:
        """Write a content's input, or for None that it lacks the modality.

        Raises:
            CorpusError: the cache cannot be written.
        """
        suffix = ABSENT_SUFFIX if values is None else None
        write_values(self._file(key, modality, suffix), values)
        if values is not None:
            with suppress(OSError):  # values count for more than a file that says otherwise
                self._file(key, modality, ABSENT_SUFFIX).unlink()

    def _is_absent(self, key: str, modality: str) -> bool:
        """Return whether a content is known to lack a modality, and none was found since."""
        noted = self._file(key, modality, ABSENT_SUFFIX)
        return noted.exists() and not self._file(key, modality).exists()

    def _lacking(self, key: str) -> dict[str, bool]:
        """Return the modalities to extract, as `needs`."""
        return {
            modality: needed
            for modality, needed in self.needs.items()
            if not self._file(key, modality).exists()
            and (needed or not self._file(key, modality, ABSENT_SUFFIX).exists())
        }

    def _file(self, key: str, modality: str = AUDIO, suffix: str | None = None) -> Path:
        folder = self._folder(modality)
        suffix = suffix or (".flac" if modality == AUDIO else ".npy")
        return self.root / folder / key[:2] / f"{stem_in(key, folder)}{suffix}"

    def _folder(self, modality: str) -> str:
        if modality not in self._folders:
            extractor = extractor_of(modality, self.options.get(modality))
            folder = extractor.folder(self.options)
            self._folders[modality] = folder.removeprefix(f"{AUDIO}-")
        return self._folders[modality]

    @contextmanager
    def _opened(self, key: str) -> Iterator[Any]:
        file = self._file(key)
        try:
            with soundfile.SoundFile(file) as sound:
                yield sound
        except soundfile.LibsndfileError as error:
            raise CorpusError(
                f"{file}: no cached audio ({error.error_string}): {advice(file)}"
            ) from error

    @contextmanager
    def _extractor(self) -> Iterator[Callable[[tuple[ClipFile, str]], CacheFailure | None]]:
        with Prober() as prober:
            yield lambda item: self._extract(*item, prober)

    def _extract(self, clip: ClipFile, content_sha256: str, prober: Prober) -> CacheFailure | None:
        key = cache_key(content_sha256, clip.clip_id)
        needs = self._lacking(key)
        row = extract_clip(
            clip,
            max_seconds=CACHED_SECONDS,
            timeout_seconds=TIMEOUT_SECONDS,
            prober=prober,
            needs=needs,
            options=self.options,
        )
        found = row["content_sha256"]
        if found is not None and found != content_sha256:
            detail = (
                f"its content was {content_sha256[:12]} when it was labelled, it is {found[:12]}"
            )
            return CacheFailure(CHANGED, f"{detail} now: add its labels again")
        if row["inputs"] is None and not self._may_lack(key, needs, row):
            return CacheFailure(row["reason"], row["detail"])
        inputs, failed = unpack(row), failures(row.get(UNGIVEN, {}))
        for modality in needs:
            if modality in failed:
                continue
            facts = row.get(NOTED, {}).get(modality)
            if facts is not None:
                write_facts(self._file(key, modality, FACTS_SUFFIX), facts)
            self.keep(key, modality, inputs.get(modality))
        for why in failed.values():
            return CacheFailure(why.reason, why.detail)
        return None

    def _may_lack(self, key: str, needs: Mapping[str, bool], row: Mapping[str, Any]) -> bool:
        """Return whether a clip gave nothing that it must have, and the cache has another input."""
        others = [modality for modality in self.needs if modality not in needs]
        return row.get(UNGIVEN, {}).keys() == needs.keys() and any(
            self._file(key, modality).exists() for modality in others
        )
