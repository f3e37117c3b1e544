"""The demo's corpus: clips of synthetic voices as MP4, their labels, and a few broken files.

The seed determines everything. Only the sound of a clip depends on its labels: picture, name,
encoder settings and loudness do not.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import ffmpeg
import numpy as np

from emi_model.audio.waveform import Int16Waveform
from emi_model.errors import ConfigError
from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from emi_model.units import INT16_FULL_SCALE, SAMPLING_RATE, samples_to_seconds, seconds_to_samples
from tasks.synthetic.encoding import encode, sound_input, write_whole
from tasks.synthetic.expressions import Expression, draw_expression, speech_segments
from tasks.synthetic.voice import Speaker, draw_speaker, render

LABELS_NAME = "labels.csv"
LABEL_COLUMNS = (
    "filename",
    "speaker",
    "split",
    *(column_name(target) for target in EMI_TARGETS),
    *VAD_DIMENSIONS,
)

MEDIAN_SECONDS = 3.7
SPREAD_OF_LOG_SECONDS = 0.35
SHORTEST_SECONDS, LONGEST_SECONDS = 2.5, 8.0
OVERLONG_SECONDS = 13.5
"""The first clip of each split lasts this long: longer than the model's window."""

BLINK_SECONDS = 0.01
"""Under one frame of the backbone."""

BROKEN_NAMES = (
    "empty.mp4",
    "notes.mp4",
    "cut_off.mp4",
    "playlist.mp4",
    "silent_film.mp4",
    "blink.mp4",
)

PLAIN_PER_ROUND = 1
ROUNDS_OF_TARGETS = 2
"""Each target leads two clips for every clip that expresses none."""

ROOM_NOISE = 0.002
"""RMS of the background, relative to a voice of RMS 1."""

RMS_RANGE = (0.05, 0.12)
AUDIO_RATES = (16_000, 44_100)
PICTURE = "testsrc=size=160x120:rate=8"


@dataclass(frozen=True)
class SyntheticClip:
    """The plan of one clip: who speaks, what it expresses, how long.

    Attributes:
        clip_id: Path below the corpus root.
        speaker: The voice.
        split: ``train`` or ``valid``; no speaker is in both.
        expression: The expression, from which the labels follow.
        seconds: Wanted duration; the last phrase may run a little over.
        audio_rate: Sampling rate of the AAC track, Hz.
        seed: Seeds every random choice in the clip.
    """

    clip_id: str
    speaker: Speaker
    split: str
    expression: Expression
    seconds: float
    audio_rate: int
    seed: tuple[int, int]


class LabelRow(NamedTuple):
    """One row of a label file: the clip, who speaks, its split, and what it expresses."""

    clip_id: str
    speaker: str
    split: str
    expression: Expression


@dataclass(frozen=True)
class WrittenCorpus:
    """A corpus that `write_corpus` wrote.

    Attributes:
        folder: The corpus root.
        labels: The label file, one row a playable clip.
        clips: The playable clips.
        broken: Ids of the files that cannot be scored; they have no labels.
    """

    folder: Path
    labels: Path
    clips: tuple[SyntheticClip, ...]
    broken: tuple[str, ...]


def plan_corpus(
    *, num_clips: int = 120, num_speakers: int = 12, seed: int = 7
) -> tuple[SyntheticClip, ...]:
    """Draw the clips: of three speakers, two are for training and the third is held out.

    Raises:
        ConfigError: fewer than three speakers, or fewer clips than speakers.
    """
    if num_speakers < 3 or num_clips < num_speakers:
        raise ConfigError(
            f"found {num_clips} clips of {num_speakers} speakers, expected 3 speakers or more "
            "and a clip for each: ask for more"
        )
    rng = np.random.default_rng(seed)
    speakers = [
        draw_speaker(f"speaker{number + 1:02}", low_voice=number % 2 == 0, rng=rng)
        for number in range(num_speakers)
    ]
    num_train = round(num_speakers * 2 / 3)
    splits = ["train" if i % num_speakers < num_train else "valid" for i in range(num_clips)]
    leaders = {name: _leaders(splits.count(name), rng) for name in ("train", "valid")}
    clips: list[SyntheticClip] = []
    for index, split in enumerate(splits):
        speaker = speakers[index % num_speakers]
        overlong = split not in splits[:index]
        clips.append(
            SyntheticClip(
                clip_id=f"{speaker.name}/clip_{index + 1:04}.mp4",
                speaker=speaker,
                split=split,
                expression=draw_expression(leaders[split].pop(), rng),
                seconds=OVERLONG_SECONDS if overlong else _draw_seconds(rng),
                audio_rate=AUDIO_RATES[rng.integers(len(AUDIO_RATES))],
                seed=(seed, index),
            )
        )
    return tuple(clips)


def speak(clip: SyntheticClip) -> Int16Waveform:
    """Return the clip's waveform (samples,), int16, 16 kHz mono."""
    rng = np.random.default_rng(clip.seed)
    waveform = render(clip.speaker, speech_segments(clip.expression, clip.seconds, rng), rng)
    waveform /= waveform.std()
    waveform += rng.normal(0.0, ROOM_NOISE, len(waveform))
    scaled = waveform * rng.uniform(*RMS_RANGE)
    return (np.clip(scaled, -1.0, 1.0) * (INT16_FULL_SCALE - 1)).astype(np.int16)


def write_corpus(
    folder: Path,
    *,
    num_clips: int = 120,
    num_speakers: int = 12,
    seed: int = 7,
    on_progress: Callable[[int, int], None] | None = None,
) -> WrittenCorpus:
    """Write a corpus of synthetic voices, whole or not at all.

    Args:
        folder: A folder that does not exist yet, or is empty.
        num_clips: Playable clips, H.264 and AAC in MP4.
        num_speakers: Voices, two thirds of them for training.
        seed: Seeds everything.
        on_progress: Called with the clips written so far and all of them.

    Raises:
        ConfigError: see `plan_corpus`.
        CorpusError: the folder holds something already.
        MediaToolError: there is no ffmpeg, or it failed.
    """
    clips = plan_corpus(num_clips=num_clips, num_speakers=num_speakers, seed=seed)
    broken = _broken_ids(clips)

    def finish(aside: Path) -> None:
        _write_broken(clips, broken, aside)
        write_labels(aside / LABELS_NAME, map(_label_row, clips))

    films = {clip.clip_id: partial(_write_clip, clip) for clip in clips}
    write_whole(folder, films, finish, last=LABELS_NAME, on_progress=on_progress)
    return WrittenCorpus(folder, folder / LABELS_NAME, clips, broken)


def write_labels(path: Path, rows: Iterable[LabelRow]) -> None:
    """Write a label file whole: EMI intensities, and the VAD that follows from them."""
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LABEL_COLUMNS)
        for row in rows:
            values = (*row.expression.intensities, *row.expression.vad())
            writer.writerow([*row[:3], *(f"{value:.3f}" for value in values)])
    partial.replace(path)


def _label_row(clip: SyntheticClip) -> LabelRow:
    return LabelRow(clip.clip_id, clip.speaker.name, clip.split, clip.expression)


def _leaders(num_clips: int, rng: np.random.Generator) -> list[int | None]:
    """Return a shuffled list in which every target leads about equally often."""
    targets: list[int | None] = [*range(len(EMI_TARGETS))]
    leaders = targets * ROUNDS_OF_TARGETS + [None] * PLAIN_PER_ROUND
    return [leaders[i % len(leaders)] for i in rng.permutation(num_clips)]


def _draw_seconds(rng: np.random.Generator) -> float:
    seconds = rng.lognormal(np.log(MEDIAN_SECONDS), SPREAD_OF_LOG_SECONDS)
    return float(np.clip(seconds, SHORTEST_SECONDS, LONGEST_SECONDS))


def _write_clip(clip: SyntheticClip, path: Path) -> None:
    _encode(path, speak(clip), clip.audio_rate)


def _encode(path: Path, waveform: Int16Waveform, audio_rate: int) -> None:
    """Write an MP4 of a moving test picture and ``waveform`` (samples,)."""
    with sound_input(waveform, SAMPLING_RATE) as sound:
        picture = _picture(samples_to_seconds(len(waveform)))
        encode(path, [picture, sound], acodec="aac", audio_bitrate="64k", ar=audio_rate)


def _picture(seconds: float) -> Any:
    return ffmpeg.input(f"{PICTURE}:duration={seconds:.6f}", format="lavfi").video


def _broken_ids(clips: Sequence[SyntheticClip]) -> tuple[str, ...]:
    homes = [clip.clip_id.partition("/")[0] for clip in clips]
    return tuple(f"{home}/{name}" for home, name in zip(homes * 2, BROKEN_NAMES, strict=False))


def _write_broken(clips: Sequence[SyntheticClip], ids: Sequence[str], folder: Path) -> None:
    """Write files that look like clips and are none, as they are found in every real folder."""
    whole = (folder / clips[0].clip_id).read_bytes()
    name = Path(clips[0].clip_id).name
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:4,\n{name}\n#EXT-X-ENDLIST\n"
    empty, notes, cut_off, listing, silent_film, blink = (folder / clip_id for clip_id in ids)
    empty.write_bytes(b"")
    notes.write_text("This is a text that somebody has renamed.\n", encoding="utf-8")
    # the index of an MP4 (moov) stands at its end
    cut_off.write_bytes(whole[: len(whole) // 2])
    listing.write_text(playlist, encoding="utf-8")
    encode(silent_film, [_picture(SHORTEST_SECONDS)])
    _encode(blink, speak(clips[0])[: seconds_to_samples(BLINK_SECONDS)], AUDIO_RATES[0])
