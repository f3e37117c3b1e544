"""Extraction of clips: turns a listed file or object into a row that is ready to be scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from typing import Any

from emi_model.audio.waveform import SILENCE_DBFS, measure_levels
from emi_model.modalities import AUDIO_NEEDED
from emi_model.units import samples_to_seconds
from tasks.corpus.clips import ClipFile, hash_clip, hash_content
from tasks.corpus.fetching import Local, fetched
from tasks.extraction.audio import Extraction
from tasks.extraction.decoding.mixing import Mixing
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import pack
from tasks.extraction.media import extract_media
from tasks.extraction.registry import NO_SETTINGS, ClipMedia, Extractor, extractor_of
from tasks.extraction.tracks import one_line, reject_path
from tasks.schema.outcomes import ABSENCES, Flag, Rejection, Source, Status, rejected
from tasks.schema.scores import EXTRACTED, EXTRACTION
from tasks.storage.folder import StoredFile

Row = dict[str, Any]

_SOURCE = [field.name for field in fields(Source)]

NOTED = "noted"
"""Key of a row, in the process that extracted it: `ClipMedia.noted`; only if there is any."""

UNGIVEN = "ungiven"
"""Key of a row, likewise: `Rejection` of each optional modality that gave no input, by modality."""

CLIPPED_FRACTION = 1e-3
"""Share of samples at full scale from which a clip is flagged as clipped."""


def extract_clip(
    clip: ClipFile,
    *,
    max_seconds: float | None,
    timeout_seconds: float,
    prober: Prober | None = None,
    needs: Mapping[str, bool] = AUDIO_NEEDED,
    options: Mapping[str, Any] = NO_SETTINGS,
) -> Row:
    """Return a clip's row before scoring, under the `EXTRACTED` schema, however damaged it is.

    Args:
        clip: the clip.
        max_seconds: seconds to decode; None for all.
        timeout_seconds: time limit of the extraction.
        prober: the process that reads headers; None starts one for this clip.
        needs: modalities to extract, each with whether a clip is rejected without it.
        options: settings of extractors by modality.

    Raises:
        ConfigError: a modality has no extractor.
        CorpusError: its storage does not answer, or this node has no disk space to fetch it to.
    """
    with ExitStack() as stack:
        local = stack.enter_context(local_file(clip))
        if prober is None:
            prober = stack.enter_context(Prober())
        (row,) = extract_group(
            [(clip, local)],
            max_seconds=max_seconds,
            timeout_seconds=timeout_seconds,
            prober=prober,
            needs=needs,
            options=options,
        )
        return row


@contextmanager
def local_file(clip: ClipFile) -> Iterator[Local | Rejection]:
    """Yield a clip's file on this node, or its rejection; an object is fetched.

    Raises:
        CorpusError: as `extract_clip`.
    """
    if not clip.is_remote:
        yield Local(clip.file(), hash_content(clip.file()), clip.size, clip.modified_ns)
        return
    listed = None
    if clip.size is not None and clip.modified_ns is not None:
        listed = StoredFile(clip.clip_id, clip.size, clip.modified_ns)
    with fetched(clip.uri, listed) as found:
        yield found


def extract_group(
    group: Sequence[tuple[ClipFile, Local | Rejection]],
    *,
    max_seconds: float | None,
    timeout_seconds: float,
    prober: Prober,
    needs: Mapping[str, bool] = AUDIO_NEEDED,
    options: Mapping[str, Any] = NO_SETTINGS,
) -> Iterator[Row]:
    """Yield the rows of clips whose files are on this node, each as `extract_clip` returns it.

    Args:
        group: the clips, at most `MAX_CLIPS_TOGETHER`, each with its file or its rejection.
        max_seconds: seconds of a clip to decode; None for all.
        timeout_seconds: time limit of each clip's extraction.
        prober: the process that reads headers.
        needs: as for `extract_clip`.
        options: likewise.
    """
    extractors = [
        (extractor_of(modality, options.get(modality)), needed)
        for modality, needed in needs.items()
    ]
    paths = [local.path for _, local in group if isinstance(local, Local)]
    decoded = extract_media(
        paths,
        sound=any(extractor.needs_audio for extractor, _ in extractors),
        sight=any(extractor.needs_pictures for extractor, _ in extractors),
        max_seconds=max_seconds,
        timeout_seconds=timeout_seconds,
        prober=prober,
    )
    for clip, local in group:
        if isinstance(local, Rejection):
            yield rejected(_listed_row(clip, None), local.reason, local.detail)
        else:
            audio, pictures = next(decoded)
            media = ClipMedia(
                local.path,
                audio,
                max_seconds,
                timeout_seconds,
                options,
                pictures=pictures,
                clip_id=clip.clip_id,
            )
            yield _row(clip, local, media, extractors)


def listed_row(clip: ClipFile) -> Row:
    """Return the row of a clip with its listing and its content's hash alone."""
    return _listed_row(clip, hash_clip(clip))


def _row(
    clip: ClipFile, local: Local, media: ClipMedia, extractors: Sequence[tuple[Extractor, bool]]
) -> Row:
    clip = clip._replace(size=local.size, modified_ns=local.modified_ns)
    row = _listed_row(clip, local.content_sha256)
    if not isinstance(media.audio, Extraction) and (bad := reject_path(media.path)) is not None:
        return rejected(row, bad.reason, bad.detail)  # no file that an extractor could read
    if media.audio is not None:
        row |= {name: getattr(media.audio, name) for name in _SOURCE}
    inputs, refusal, without = _taken(media, extractors)
    row["modalities"] = [item["modality"] for item in inputs]
    if media.noted:
        columns = {name: fact for one in media.noted.values() for name, fact in one.items()}
        row |= {name: fact for name, fact in columns.items() if name in EXTRACTED.names}
        row[NOTED] = media.noted
    if without:
        row[UNGIVEN] = without
    failed = failures(without)
    if refusal is not None:
        if failed and len(without) == len(extractors):  # it might have been scored
            row["flags"] = [Flag.INPUT_FAILED.value]
        return rejected(row, refusal.reason, refusal.detail)
    if isinstance(media.audio, Extraction):
        row |= _measured(media.audio)
    if failed:
        row["flags"] = [*row["flags"], Flag.INPUT_FAILED.value]
        words = (f"{name}: {why.reason}: {why.detail}" for name, why in failed.items())
        row["detail"] = one_line("; ".join(words))
    return row | {"status": Status.SCORED.value, "inputs": inputs}


def _taken(
    media: ClipMedia, extractors: Sequence[tuple[Extractor, bool]]
) -> tuple[list[Row], Rejection | None, dict[str, Rejection]]:
    """Return a clip's inputs, why it is rejected, and its optional modalities without an input."""
    inputs, refusal, without = [], None, {}
    for extractor, is_needed in extractors:
        found = extractor.extract(media)
        if not isinstance(found, Rejection):
            inputs.append(pack(extractor.modality, found))
        elif is_needed:
            refusal = refusal or found
        else:
            without[extractor.modality] = found
    if not inputs:  # each modality may be absent, but not all of them
        refusal = refusal or next(iter([*failures(without).values(), *without.values()]), None)
    return inputs, refusal, without


def failures(without: Mapping[str, Rejection]) -> dict[str, Rejection]:
    """Return those of a row's `UNGIVEN` that say nothing of the clip: it may have the input."""
    return {name: why for name, why in without.items() if why.reason not in ABSENCES}


def _listed_row(clip: ClipFile, content_sha256: str | None) -> Row:
    row: Row = dict.fromkeys(EXTRACTED.names)
    return row | {
        "clip_id": clip.clip_id,
        "uri": clip.uri,
        "content_sha256": content_sha256,
        "bytes": clip.size,
        "modified_ns": clip.modified_ns,
        "flags": [],
        "extraction": EXTRACTION,
    }


def _measured(found: Extraction) -> Row:
    levels = measure_levels(found.waveform)
    flags = {
        Flag.TRUNCATED: found.truncated,
        Flag.SILENT: levels.rms_dbfs < SILENCE_DBFS,
        Flag.CLIPPED: levels.clipped_fraction >= CLIPPED_FRACTION,
        Flag.SHORT_DECODE: found.short_decode,
        Flag.MEAN_OF_CHANNELS: found.mixing is Mixing.MEAN,
        Flag.AMBISONIC_W: found.mixing is Mixing.AMBISONIC,
        Flag.ONE_CHANNEL: found.mixing is Mixing.FIRST,
    }
    measured = {name: value for name, value in asdict(levels).items() if name in EXTRACTED.names}
    return measured | {
        "gaps": [asdict(gap) for gap in found.gaps],
        "duration_seconds": samples_to_seconds(len(found.waveform)),
        "flags": [flag.value for flag, holds in flags.items() if holds],
    }
