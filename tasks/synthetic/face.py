"""Drawn faces with an expression that is set by six numbers; numpy only.

A face is an ellipsoid, lit from one side, with sockets, eyes, brows, nose and mouth. It is shaded,
because face detectors look for dark sockets under a bright forehead, not for outlines. Lengths are
in units of half the head's width, from the middle between the eyes, y downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.synthetic.canvas import Canvas, Colour, Picture, Scene, background_of, to_picture

SKINS: tuple[Colour, ...] = (
    (0.96, 0.80, 0.69),
    (0.91, 0.72, 0.58),
    (0.83, 0.62, 0.47),
    (0.72, 0.51, 0.37),
    (0.62, 0.43, 0.31),
)
HAIRS: tuple[Colour, ...] = (
    (0.10, 0.08, 0.07),
    (0.25, 0.15, 0.09),
    (0.42, 0.28, 0.15),
    (0.55, 0.42, 0.24),
    (0.45, 0.44, 0.43),
)
IRISES: tuple[Colour, ...] = ((0.22, 0.13, 0.08), (0.20, 0.32, 0.42), (0.25, 0.33, 0.18))


@dataclass(frozen=True)
class Face:
    """What stays the same in all pictures of one person.

    Attributes:
        skin: colour in full light.
        hair: colour of hair and brows.
        iris: colour of the eyes.
        chin: distance from the eyes to the chin.
        eye_spacing: distance from the middle to each eye.
        eye_size: half the width of an eye.
        nose: length of the nose.
        mouth_width: half the width of the mouth at rest.
        brow_thickness: half the thickness of a brow.
        hairline: height of the hairline above the eyes.
        long_hair: the hair reaches below the chin.
    """

    skin: Colour
    hair: Colour
    iris: Colour
    chin: float
    eye_spacing: float
    eye_size: float
    nose: float
    mouth_width: float
    brow_thickness: float
    hairline: float
    long_hair: bool


@dataclass(frozen=True)
class Look:
    """What the face does, each 0 at rest.

    Attributes:
        smile: corners of the mouth up, at -1 down.
        jaw: opening of the mouth, 0 to 1.
        stretch: width of the mouth, at -1 a small round one.
        brows: height of the brows, at -1 close to the eyes.
        slant: inner ends of the brows up, at -1 down.
        lids: opening of the eyes, at -1 closed.
    """

    smile: float = 0.0
    jaw: float = 0.0
    stretch: float = 0.0
    brows: float = 0.0
    slant: float = 0.0
    lids: float = 0.0


def draw_face(rng: np.random.Generator) -> Face:
    """Return a random person's face."""
    return Face(
        skin=SKINS[rng.integers(len(SKINS))],
        hair=HAIRS[rng.integers(len(HAIRS))],
        iris=IRISES[rng.integers(len(IRISES))],
        chin=float(rng.uniform(1.28, 1.48)),
        eye_spacing=float(rng.uniform(0.40, 0.46)),
        eye_size=float(rng.uniform(0.18, 0.22)),
        nose=float(rng.uniform(0.48, 0.58)),
        mouth_width=float(rng.uniform(0.34, 0.42)),
        brow_thickness=float(rng.uniform(0.035, 0.065)),
        hairline=float(rng.uniform(0.62, 0.80)),
        long_hair=bool(rng.random() < 0.5),
    )


def paint(face: Face, look: Look, scene: Scene) -> Picture:
    """Return a picture of the face, (size, size, 3)."""
    canvas = Canvas(background_of(scene), scene)
    _head(canvas, face, scene)
    for side in (-1.0, 1.0):
        _eye(canvas.near((side * face.eye_spacing, 0.0), 0.45), face, look, side)
        _brow(canvas.near((side * face.eye_spacing, -0.35), 0.45), face, look, side)
    _nose(canvas.near((0.0, face.nose * 0.6), 0.75), face, scene)
    _mouth(canvas.near((0.0, face.nose + 0.45), 0.65), face, look)
    return to_picture(canvas.pixels, scene)


def paint_back(face: Face, scene: Scene) -> Picture:
    """Return a picture of the head turned away, (size, size, 3)."""
    canvas = Canvas(background_of(scene), scene)
    _shoulders(canvas, face)
    canvas.ellipse((0.0, 0.25), (0.3, 1.5), _darker(face.skin, 0.7))
    canvas.ellipse((0.0, 0.1), (1.0, 1.25), face.hair)
    canvas.ellipse((0.3 * scene.light, -0.4), (0.5, 0.5), _darker(face.hair, 1.3), soft=0.5)
    return to_picture(canvas.pixels, scene)


def _darker(colour: Colour, factor: float) -> Colour:
    red, green, blue = (channel * factor for channel in colour)
    return red, green, blue


def _shoulders(canvas: Canvas, face: Face) -> None:
    canvas.ellipse((0.0, face.chin + 1.6), (2.1, 1.3), (0.25, 0.28, 0.36))


def _head(canvas: Canvas, face: Face, scene: Scene) -> None:
    middle, height = (face.chin - 0.95) / 2.0, (face.chin + 0.95) / 2.0
    reach = 1.75 if face.long_hair else 1.2
    canvas.ellipse((0.0, reach - 1.25), (1.14, reach), face.hair)
    _shoulders(canvas, face)
    canvas.ellipse((0.0, face.chin), (0.42, 0.75), _darker(face.skin, 0.68))
    for side in (-1.0, 1.0):
        canvas.ellipse((side * 0.98, 0.22), (0.13, 0.26), _darker(face.skin, 0.8))
    # an ellipsoid under a light from above and one side
    bulge = 1.0 - np.square(canvas.x) - np.square((canvas.y - middle) / height)
    depth = np.sqrt(np.clip(bulge, 0.0, 1.0))
    lit = 0.55 + 0.42 * depth + 0.2 * scene.light * canvas.x - 0.1 * (canvas.y - middle)
    skin = np.array(face.skin) * np.clip(lit, 0.3, 1.08)[..., None]
    mask = canvas.inside((0.0, middle), (1.0, height))
    canvas.cover(mask, skin)
    hairline = 0.25 * np.square(canvas.x) - face.hairline
    canvas.cover(mask * np.clip((hairline - canvas.y) / 0.06, 0.0, 1.0), face.hair)
    for side in (-1.0, 1.0):
        red = (face.skin[0] * 1.0, face.skin[1] * 0.8, face.skin[2] * 0.78)
        canvas.ellipse((side * 0.52, 0.48), (0.3, 0.24), red, soft=0.9, strength=0.35)


def _eye(canvas: Canvas, face: Face, look: Look, side: float) -> None:
    at = (side * face.eye_spacing, 0.0)
    size, opening = face.eye_size, face.eye_size * 0.52 * max(0.0, 1.0 + look.lids)
    socket = _darker(face.skin, 0.5)
    canvas.ellipse((at[0], -0.03), (size * 1.7, size * 1.35), socket, soft=0.9, strength=0.75)
    canvas.ellipse((at[0], 0.02), (size * 1.08, opening + 0.035), _darker(face.skin, 0.3))
    if opening > 0.015:
        white = canvas.inside((at[0], 0.025), (size, opening))
        canvas.cover(white, (0.93, 0.92, 0.90))
        canvas.cover(white * canvas.inside((at[0], 0.015), (size * 0.5, size * 0.5)), face.iris)
        pupil = canvas.inside((at[0], 0.015), (size * 0.24, size * 0.24))
        canvas.cover(white * pupil, (0.03, 0.03, 0.03))
        canvas.ellipse((at[0] + 0.03, -0.02), (0.03, 0.03), (1.0, 1.0, 1.0))


def _brow(canvas: Canvas, face: Face, look: Look, side: float) -> None:
    inner, outer = face.eye_spacing - 0.24, face.eye_spacing + 0.28
    along = (side * canvas.x - inner) / (outer - inner)
    arch = 0.07 * (1.0 - np.square(2.0 * along - 0.9))
    course = -0.30 - 0.14 * look.brows - arch - 0.16 * look.slant * (0.5 - along)
    thickness = face.brow_thickness * (1.15 - 0.5 * np.clip(along, 0.0, 1.0))
    left, right = sorted((side * inner, side * outer))
    canvas.cover(canvas.stroke(course, thickness, left, right), _darker(face.hair, 0.8))


def _nose(canvas: Canvas, face: Face, scene: Scene) -> None:
    shadow = -1.0 if scene.light >= 0 else 1.0
    dark, bright = _darker(face.skin, 0.62), _darker(face.skin, 1.06)
    middle = face.nose * 0.55
    canvas.ellipse((0.13 * shadow, middle), (0.10, 0.42), dark, soft=1.2, strength=0.5)
    canvas.ellipse((0.0, middle), (0.06, 0.40), bright, soft=1.0, strength=0.6)
    canvas.ellipse((0.0, face.nose + 0.06), (0.2, 0.1), dark, soft=0.9, strength=0.55)
    for side in (-1.0, 1.0):
        nostril = (side * 0.085, face.nose + 0.05)
        canvas.ellipse(nostril, (0.05, 0.035), _darker(face.skin, 0.25), soft=0.5)


def _mouth(canvas: Canvas, face: Face, look: Look) -> None:
    width = face.mouth_width * (1.0 + 0.35 * look.stretch)
    at = face.nose + 0.38
    bend = np.square(canvas.x / width)
    middle = at + 0.16 * look.smile * (0.5 - bend)
    taper = np.sqrt(np.clip(1.0 - bend, 0.0, 1.0))
    opening = 0.22 * look.jaw * taper
    lip = (face.skin[0] * 0.78, face.skin[1] * 0.50, face.skin[2] * 0.50)
    below = middle + opening
    canvas.cover(canvas.stroke(below, 0.03 + opening + 0.055 * taper, -width, width), lip)
    gap = canvas.stroke(below, 0.018 + opening, -width, width)
    canvas.cover(gap, (0.22, 0.06, 0.06))
    if look.jaw > 0.15:
        teeth = np.clip((below - 0.35 * opening - canvas.y) / canvas.edge, 0.0, 1.0)
        canvas.cover(gap * teeth * (taper > 0.25), (0.92, 0.90, 0.86))
    shade = at + 0.2 + 0.3 * look.jaw
    canvas.ellipse((0.0, shade), (0.26, 0.07), _darker(face.skin, 0.65), soft=1.0, strength=0.4)
