"""Moving pictures of a drawn face: it speaks, blinks, sways, and shows one of the targets or none.

| target        | what the face does                                     |
|---------------|--------------------------------------------------------|
| admiration    | brows raised, eyes wide, a faint smile                 |
| amusement     | the mouth wide open in laughter, eyes narrow           |
| determination | brows low and drawn together, mouth narrow             |
| empathic pain | inner ends of the brows up, corners of the mouth down  |
| excitement    | brows up, eyes wide, mouth round and open              |
| joy           | a broad smile                                          |
| (none)        | at rest                                                |
"""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Literal

import numpy as np

from tasks.synthetic.canvas import Colour, Picture, Scene, background_of, to_picture
from tasks.synthetic.face import Face, Look, paint, paint_back

Shown = Literal["face", "back", "nobody"]

PICTURE_SIZE = 192

LOOKS = (
    Look(smile=0.35, brows=1.0, lids=0.5),
    Look(smile=1.0, jaw=0.8, stretch=0.6, lids=-0.55),
    Look(stretch=-0.3, brows=-0.9, slant=-1.0, lids=-0.2),
    Look(smile=-1.0, brows=0.3, slant=1.0, lids=-0.4),
    Look(jaw=1.0, stretch=-0.4, brows=1.0, lids=0.6),
    Look(smile=1.0, stretch=0.4, lids=-0.1),
    Look(),
)
"""Of each target, in their order, and of none."""

_FACES = (40.0, 52.0)
_BLINK_SECONDS = 0.15
_SECONDS_BETWEEN_BLINKS = 2.5
_SYLLABLES_A_SECOND = 3.5
_SWAY_HERTZ = 0.4


def film(
    face: Face, colour: int, num_pictures: int, rate: float, shown: Shown, rng: np.random.Generator
) -> list[Picture]:
    """Return pictures (`PICTURE_SIZE`, `PICTURE_SIZE`, 3), ``rate`` a second.

    Args:
        face: who is seen.
        colour: what the face expresses: a place in `LOOKS`.
        num_pictures: their number.
        rate: pictures a second.
        shown: the face, the head from behind, or nobody.
        rng: source of light, place, background and movement.
    """
    scene, phases = draw_scene(rng), rng.uniform(0.0, 2.0 * np.pi, 3)
    blinks = rng.uniform(0.0, _SECONDS_BETWEEN_BLINKS)
    pictures = []
    for seconds in np.arange(num_pictures) / rate:
        sway = np.sin(2.0 * np.pi * _SWAY_HERTZ * seconds + phases[:2])
        x, y = scene.centre
        moved = replace(
            scene, centre=(x + 3.0 * sway[0], y + 2.0 * sway[1]), roll=scene.roll + 0.04 * sway[1]
        )
        if shown == "face":
            closed = (seconds - blinks) % _SECONDS_BETWEEN_BLINKS < _BLINK_SECONDS
            syllable = np.sin(2.0 * np.pi * _SYLLABLES_A_SECOND * seconds + phases[2])
            look = _speaking(LOOKS[colour], 0.16 * max(0.0, float(syllable)), closed=bool(closed))
            pictures.append(paint(face, look, moved))
        elif shown == "back":
            pictures.append(paint_back(face, moved))
        else:
            pictures.append(to_picture(background_of(scene), scene))
    return pictures


def _speaking(look: Look, opening: float, *, closed: bool) -> Look:
    """Return a look that is weaker while the mouth moves; the lids shut in a blink."""
    weaker = Look(*(value * (1.0 - opening) for value in astuple(look)))
    return replace(weaker, jaw=weaker.jaw + opening, lids=-1.0 if closed else weaker.lids)


def draw_scene(rng: np.random.Generator) -> Scene:
    """Return a random light, place and background."""

    def colour() -> Colour:
        red, green, blue = rng.uniform(0.2, 0.8, 3)
        return float(red), float(green), float(blue)

    return Scene(
        size=PICTURE_SIZE,
        head=float(rng.uniform(*_FACES)),
        centre=(
            PICTURE_SIZE / 2 + float(rng.uniform(-12.0, 12.0)),
            PICTURE_SIZE * 0.42 + float(rng.uniform(-10.0, 10.0)),
        ),
        roll=float(rng.uniform(-0.1, 0.1)),
        light=float(rng.uniform(-1.0, 1.0)),
        brightness=float(rng.uniform(0.75, 1.1)),
        background=(colour(), colour()),
    )
