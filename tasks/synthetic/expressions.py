"""The demo's voices: six intensities and VAD in, segments of speech out.

An utterance is a row of short phrases. Every phrase is plain or is coloured by one of the six
targets, and the intensity of a target is the share of the speaking time that its phrases get, so
that the six sum to 1 at most. All of it is relative to the speaker's own resting voice:

| target         | what its phrases sound like                                                  |
|----------------|------------------------------------------------------------------------------|
| admiration     | one drawn-out "wow": pitch rises and falls by 8 semitones, lips open from /u/ |
|                | to /a/ and close again                                                       |
| amusement      | laughter: short breathy "ha" pulses, five a second, pitch stepping down      |
| determination  | hard, even syllables: silence, a sharp burst, a flat low pitch, pressed tone |
| empathic pain  | a sigh: a dark, shaking voice falls by 8 semitones and ends in breath        |
| excitement     | a run of fast syllables, high, bright and rising                             |
| joy            | sing-song: bound syllables hop between two notes with spread lips            |
| (plain)        | calm consonant-vowel syllables in the middle of the range                    |

VAD follows from the intensities, plus an offset of the clip's own in [-1, 1] for each of the three:

| dimension | formula (clipped to [0, 1])                                                | offset  |
|-----------|----------------------------------------------------------------------------|---------|
| arousal   | .40 - .15 adm + .25 amu + .25 det - .20 pain + .50 exc + .15 joy + .12 own | tempo   |
| dominance | .45 - .10 adm + .05 amu + .45 det - .35 pain + .15 exc + .05 joy + .12 own | pauses  |
| valence   | .45 + .25 adm + .35 amu + .00 det - .40 pain + .20 exc + .45 joy + .12 own | range   |

A higher arousal offset speaks faster, a higher dominance offset pauses less, a higher valence
offset moves the pitch more. None of this is a claim about people: it is a task that a small model
can learn from sound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from emi_model.arrays import Doubles
from tasks.synthetic.voice import Segment

VAD_BASE = np.array([0.40, 0.45, 0.45])
VAD_OF_TARGETS = np.array(
    [
        [-0.15, 0.25, 0.25, -0.20, 0.50, 0.15],
        [-0.10, 0.05, 0.45, -0.35, 0.15, 0.05],
        [0.25, 0.35, 0.00, -0.40, 0.20, 0.45],
    ]
)
VAD_OF_OFFSETS = 0.12
"""Rows and values in the order arousal, dominance, valence; columns in the order of the targets."""

PLAIN_VOWELS = ("a", "e", "i", "o", "u")


@dataclass(frozen=True)
class Expression:
    """The expression of a clip.

    Attributes:
        intensities: (6,) in [0, 1], summing to 1 at most, in the order of the targets.
        offsets: (3,) in [-1, 1]: the clip's own arousal, dominance and valence.
    """

    intensities: Doubles
    offsets: Doubles

    def vad(self) -> Doubles:
        """Return (3,) in [0, 1]: arousal, dominance, valence, by the table above."""
        raw = VAD_BASE + VAD_OF_TARGETS @ self.intensities + VAD_OF_OFFSETS * self.offsets
        return np.clip(raw, 0.0, 1.0)


def draw_expression(leader: int | None, rng: np.random.Generator) -> Expression:
    """Return a random expression: none to three active targets, the rest zero.

    Args:
        leader: Index of the target that is certainly active and strongest; None for a plain clip.
        rng: Source of every other choice.
    """
    intensities = np.zeros(6)
    if leader is not None:
        others = rng.permutation(np.delete(np.arange(6), leader))
        active = [leader, *others[: rng.choice(3, p=(0.35, 0.4, 0.25))]]
        shares = np.sort(rng.dirichlet(np.full(len(active), 4.0)))[::-1]
        intensities[active] = np.round(shares * rng.uniform(0.45, 1.0), 2)
    return Expression(intensities, rng.uniform(-1.0, 1.0, 3))


def speech_segments(
    expression: Expression, seconds: float, rng: np.random.Generator
) -> list[Segment]:
    """Return about ``seconds`` of speech in ``expression``.

    The next phrase always has the colour that is furthest behind its share, so that every few
    seconds of the clip have the same shares as the whole.
    """
    shares = np.append(expression.intensities, max(0.0, 1.0 - expression.intensities.sum()))
    arousal, dominance, valence = expression.offsets
    given = rng.uniform(-0.3, 0.3, len(shares))
    segments: list[Segment] = []
    spoken = silent = 0.0
    while spoken + silent < seconds:
        lack = np.where(shares > 0.0, shares * (spoken + 0.6) - given, -np.inf)
        colour = int(lack.argmax())
        phrase = [
            _apply_offsets(s, 1.0 - 0.15 * arousal, 1.0 + 0.3 * valence)
            for s in PHRASES[colour](rng)
        ]
        pause = Segment(float(rng.uniform(0.03, 0.09)) * (1.0 - 0.8 * dominance) + 0.02)
        length = sum(segment.seconds for segment in phrase)
        given[colour] += length
        spoken, silent = spoken + length, silent + pause.seconds
        segments += [*phrase, pause]
    return segments


def _apply_offsets(segment: Segment, slowness: float, span: float) -> Segment:
    start, end = segment.semitones
    return replace(
        segment, seconds=segment.seconds * slowness, semitones=(start * span, end * span)
    )


def _vowel(rng: np.random.Generator) -> str:
    return PLAIN_VOWELS[rng.integers(len(PLAIN_VOWELS))]


def _consonant(rng: np.random.Generator, seconds: float, vowel: str) -> Segment:
    """Return a fricative, a breath or a soft closure before ``vowel``."""
    kind = rng.integers(3)
    return Segment(
        seconds,
        voicing=0.25 if kind == 0 else 0.0,
        breath=0.3 if kind == 1 else 0.0,
        hiss=0.35 if kind == 2 else 0.0,
        vowels=("schwa", vowel),
    )


def _plain(rng: np.random.Generator) -> list[Segment]:
    phrase: list[Segment] = []
    pitch = rng.uniform(0.0, 1.5)
    for step in range(3):
        vowel = _vowel(rng)
        tones = (pitch - 0.8 * step, pitch - 0.8 * (step + 1))
        phrase.append(_consonant(rng, 0.06, vowel))
        phrase.append(Segment(0.14, 0.7, semitones=tones, vowels=(vowel, "schwa")))
    return phrase


def _admiration(rng: np.random.Generator) -> list[Segment]:
    top = rng.uniform(7.0, 9.0)
    rise = Segment(0.32, 0.8, semitones=(0.0, top), vowels=("u", "a"))
    fall = Segment(0.32, 0.8, semitones=(top, -1.0), vowels=("a", "u"))
    return [replace(rise, edge_seconds=0.06), replace(fall, edge_seconds=0.06)]


def _amusement(rng: np.random.Generator) -> list[Segment]:
    top = rng.uniform(4.0, 6.0)
    phrase: list[Segment] = []
    for step in range(3):
        tones = (top - 1.5 * step, top - 1.5 * step - 1.0)
        phrase.append(Segment(0.11, breath=1.0, vowels=("a", "a")))
        phrase.append(Segment(0.09, 0.8, breath=0.4, semitones=tones, vowels=("a", "a")))
    return phrase


def _determination(rng: np.random.Generator) -> list[Segment]:
    phrase: list[Segment] = []
    for _ in range(2):
        vowel = _vowel(rng)
        phrase.append(Segment(0.07))
        phrase.append(Segment(0.012, hiss=1.0, edge_seconds=0.004))
        beat = Segment(0.2, 1.0, semitones=(-2.0, -2.0), vowels=(vowel, vowel), tilt=5.0)
        phrase.append(replace(beat, edge_seconds=0.004))
    return phrase


def _empathic_pain(rng: np.random.Generator) -> list[Segment]:
    top = rng.uniform(2.0, 4.0)
    tones = (top, top - 8.0)
    moan = Segment(0.4, 0.5, 0.1, semitones=tones, vowels=("o", "schwa"), tilt=-7.0, tremor=0.8)
    return [moan, Segment(0.35, breath=0.9, vowels=("schwa", "u"), tilt=-3.0, edge_seconds=0.08)]


def _excitement(rng: np.random.Generator) -> list[Segment]:
    phrase: list[Segment] = []
    start = rng.uniform(5.0, 7.0)
    for step in range(5):
        vowel = _vowel(rng)
        tones = (start + step, start + step + 1.0)
        phrase.append(_consonant(rng, 0.03, vowel))
        phrase.append(Segment(0.07, 0.9, semitones=tones, vowels=(vowel, vowel), tilt=2.0))
    return phrase


def _joy(rng: np.random.Generator) -> list[Segment]:
    low, high = 1.0, rng.uniform(6.0, 8.0)
    notes = (high, low, high, low) if rng.random() < 0.5 else (low, high, low, high)
    return [
        Segment(0.16, 0.8, semitones=(note, note), vowels=("e", "i"), smile=1.15, edge_seconds=0.01)
        for note in notes
    ]


PHRASES: tuple[Callable[[np.random.Generator], list[Segment]], ...] = (
    _admiration,
    _amusement,
    _determination,
    _empathic_pain,
    _excitement,
    _joy,
    _plain,
)
"""A function for each colour of phrase: the six targets in their order, then plain."""
