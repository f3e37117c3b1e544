"""A corpus in which words, voice and face each carry a third of each label.

Of every clip, words, voice and face each express one of the six targets or none, drawn without
regard to the others. A label is the share of the three that express its target, as of three
raters of whom one reads, one hears and one sees. So each modality alone explains a third of a
label's variance, two explain two thirds, and three all of it: correlations of 0.58, 0.82 and 1.

Speakers, their faces and the templates of their sentences are disjoint between the splits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

import ffmpeg
import numpy as np

from emi_model.arrays import Doubles
from emi_model.errors import ConfigError
from emi_model.units import INT16_FULL_SCALE
from tasks.synthetic.canvas import Picture
from tasks.synthetic.corpus import LABELS_NAME, LabelRow, write_labels
from tasks.synthetic.encoding import encode, sound_input, write_whole
from tasks.synthetic.expressions import Expression
from tasks.synthetic.face import Face, draw_face
from tasks.synthetic.film import Shown, film
from tasks.synthetic.sentences import NO_TARGET, draw_sentence
from tasks.synthetic.speech import (
    SPOKEN_RATE,
    VOICE_VARIANTS,
    WAYS,
    Talker,
    draw_talkers,
    require_speech,
    speak_sentence,
    whistle,
)

FRAMES_A_SECOND = 10
ROOM_LOUDNESS = 0.003
"""RMS of the background, relative to a voice of RMS 1."""

LOUDNESS = (0.05, 0.10)
WHISTLE_SECONDS = (2.2, 3.4)


class Lack(StrEnum):
    """What a clip lacks."""

    WORDS = "words"
    """The speaker whistles: a voice without words."""
    VIDEO = "video"
    """There is no video track."""
    AWAY = "away"
    """The head is turned away."""
    ABSENT = "absent"
    """Nobody is in the picture."""


LACKS = (Lack.WORDS, Lack.VIDEO, Lack.WORDS, Lack.AWAY, Lack.WORDS, Lack.ABSENT)
"""In turn: as many clips without words as without a face."""


@dataclass(frozen=True)
class MultimodalClip:
    """The plan of one clip.

    Attributes:
        clip_id: Path below the corpus root.
        talker: Who speaks.
        face: Who is seen.
        split: ``train`` or ``valid``.
        words: What the sentence expresses: an index of the targets, or `NO_TARGET`.
        voice: What the voice expresses.
        look: What the face expresses.
        lacks: What is missing; its third of the labels remains.
        seed: Seeds every other choice.
    """

    clip_id: str
    talker: Talker
    face: Face
    split: str
    words: int
    voice: int
    look: int
    lacks: Lack | None
    seed: tuple[int, int]

    @property
    def intensities(self) -> Doubles:
        """Labels (6,): 0, 1/3, 2/3 or 1, in the order of the targets."""
        colours = np.array([self.words, self.voice, self.look])
        return np.asarray((colours[:, None] == np.arange(NO_TARGET)).mean(axis=0))

    def sentence(self) -> str:
        """Return the words."""
        rng = np.random.default_rng((*self.seed, 1))
        return draw_sentence(self.words, held_out=self.split == "valid", rng=rng)

    def waveform(self) -> Doubles:
        """Return the voice (samples,) at `SPOKEN_RATE`, of RMS 1."""
        rng = np.random.default_rng((*self.seed, 2))
        if self.lacks is Lack.WORDS:
            return whistle(rng.uniform(*WHISTLE_SECONDS), self.talker, WAYS[self.voice], rng)
        return speak_sentence(self.sentence(), self.talker, WAYS[self.voice], rng)

    def pictures(self, seconds: float) -> list[Picture]:
        """Return `FRAMES_A_SECOND` pictures a second; none where there is no video track."""
        if self.lacks is Lack.VIDEO:
            return []
        rng = np.random.default_rng((*self.seed, 3))
        shown: Shown = "face"
        if self.lacks is Lack.AWAY:
            shown = "back"
        elif self.lacks is Lack.ABSENT:
            shown = "nobody"
        num_pictures = max(1, round(seconds * FRAMES_A_SECOND))
        return film(self.face, self.look, num_pictures, FRAMES_A_SECOND, shown, rng)


def plan_multimodal(
    *, num_clips: int = 252, num_speakers: int = 18, lacking: float = 0.0, seed: int = 11
) -> tuple[MultimodalClip, ...]:
    """Draw the clips: of three speakers, two are for training and the third is held out.

    Args:
        num_clips: of both splits together.
        num_speakers: at most as many as there are `VOICE_VARIANTS`.
        lacking: share of the clips that lack a modality, the same in both splits.
        seed: Seeds everything.

    Raises:
        ConfigError: too few or too many speakers, fewer clips than speakers, or no share.
    """
    if not (3 <= num_speakers <= len(VOICE_VARIANTS) and num_speakers <= num_clips):
        raise ConfigError(
            f"found {num_clips} clips of {num_speakers} speakers, expected 3 to "
            f"{len(VOICE_VARIANTS)} speakers and a clip for each"
        )
    if not 0.0 <= lacking <= 1.0:
        raise ConfigError(f"lacking is {lacking}, expected a share from 0 to 1")
    rng = np.random.default_rng(seed)
    talkers = draw_talkers(num_speakers, rng)
    faces = [draw_face(rng) for _ in talkers]
    num_train = round(num_speakers * 2 / 3)
    splits = ["train" if i % num_speakers < num_train else "valid" for i in range(num_clips)]
    colours = {name: _colours(splits.count(name), rng) for name in ("train", "valid")}
    lacks = {name: _lacks(splits.count(name), lacking, rng) for name in ("train", "valid")}
    clips = []
    for index, split in enumerate(splits):
        talker = talkers[index % num_speakers]
        words, voice, look = colours[split].pop()
        clips.append(
            MultimodalClip(
                clip_id=f"{talker.name}/clip_{index + 1:04}.mp4",
                talker=talker,
                face=faces[index % num_speakers],
                split=split,
                words=words,
                voice=voice,
                look=look,
                lacks=lacks[split].pop(),
                seed=(seed, index),
            )
        )
    return tuple(clips)


def write_multimodal(
    folder: Path,
    clips: Sequence[MultimodalClip],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the clips, H.264 and AAC in MP4, and a label file, all or nothing; return its path.

    Raises:
        CorpusError: the folder holds something already.
        ConfigError: espeak-ng is not installed.
        MediaToolError: ffmpeg or espeak-ng failed.
    """
    require_speech()

    def finish(aside: Path) -> None:
        write_labels(aside / LABELS_NAME, map(_label_row, clips))

    films = {clip.clip_id: partial(_write_film, clip) for clip in clips}
    write_whole(folder, films, finish, last=LABELS_NAME, on_progress=on_progress)
    return folder / LABELS_NAME


def _colours(num_clips: int, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """Return what words, voice and face express: each colour equally often in each of them."""
    even = [np.arange(num_clips) % (NO_TARGET + 1) for _ in range(3)]
    words, voice, look = (rng.permutation(each).tolist() for each in even)
    return list(zip(words, voice, look, strict=True))


def _lacks(num_clips: int, share: float, rng: np.random.Generator) -> list[Lack | None]:
    count = round(share * num_clips)
    lacks = [LACKS[i % len(LACKS)] if i < count else None for i in range(num_clips)]
    return [lacks[i] for i in rng.permutation(num_clips)]


def _label_row(clip: MultimodalClip) -> LabelRow:
    return LabelRow(
        clip.clip_id, clip.talker.name, clip.split, Expression(clip.intensities, np.zeros(3))
    )


def _write_film(clip: MultimodalClip, path: Path) -> None:
    waveform = clip.waveform()
    rng = np.random.default_rng((*clip.seed, 4))
    waveform = waveform + rng.normal(0.0, ROOM_LOUDNESS, len(waveform))
    loud = np.clip(waveform * rng.uniform(*LOUDNESS), -1.0, 1.0) * (INT16_FULL_SCALE - 1)
    pictures = clip.pictures(len(waveform) / SPOKEN_RATE)
    sound = {"acodec": "aac", "audio_bitrate": "64k", "ar": 16_000}
    with sound_input(loud.astype(np.int16), SPOKEN_RATE) as spoken:
        if not pictures:
            encode(path, [spoken], **sound)
            return
        with tempfile.NamedTemporaryFile(suffix=".rgb") as raw:
            raw.write(np.stack(pictures).tobytes())
            raw.flush()
            size = f"{pictures[0].shape[1]}x{pictures[0].shape[0]}"
            source = {"format": "rawvideo", "pix_fmt": "rgb24", "s": size, "r": FRAMES_A_SECOND}
            seen = ffmpeg.input(f"file:{raw.name}", **source).video
            encode(path, [seen, spoken], **sound, crf=25)
