"""A picture to draw on, in the coordinates of a head; numpy only.

Lengths are in units of half the head's width, from the middle between the eyes, y downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emi_model.arrays import Doubles

Colour = tuple[float, float, float]
"""Red, green, blue in [0, 1]."""

Picture = NDArray[np.uint8]
"""(height, width, 3), RGB."""


@dataclass(frozen=True)
class Scene:
    """Where the head is, and what is around it.

    Attributes:
        size: width and height of the picture, pixels.
        head: half the head's width, pixels.
        centre: the point between the eyes, (x, y) in pixels.
        roll: the head's tilt, radians.
        light: where the light comes from, -1 left to 1 right.
        brightness: factor on all light.
        background: colours at the top and at the bottom.
    """

    size: int
    head: float
    centre: tuple[float, float]
    roll: float
    light: float
    brightness: float
    background: tuple[Colour, Colour]


def background_of(scene: Scene) -> Doubles:
    """Return the picture without anybody in it, (size, size, 3) in [0, 1]."""
    top, bottom = (np.array(colour) for colour in scene.background)
    course = np.linspace(0.0, 1.0, scene.size)[:, None, None]
    return np.broadcast_to(top + course * (bottom - top), (scene.size, scene.size, 3)).copy()


def to_picture(pixels: Doubles, scene: Scene) -> Picture:
    """Return pixels in [0, 1] under the scene's light, as bytes."""
    return (np.clip(pixels * scene.brightness, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


class Canvas:
    """Pixels (size, size, 3), and the coordinates of each in the head's own system."""

    def __init__(self, pixels: Doubles, scene: Scene, corner: tuple[int, int] = (0, 0)) -> None:
        """Take pixels (height, width, 3): the scene's, or those of a part from a corner on."""
        self.pixels = pixels
        self.scene = scene
        self.corner = corner
        height, width = pixels.shape[:2]
        across = (np.arange(corner[1], corner[1] + width) - scene.centre[0]) / scene.head
        down = (np.arange(corner[0], corner[0] + height)[:, None] - scene.centre[1]) / scene.head
        cos, sin = np.cos(scene.roll), np.sin(scene.roll)
        self.x, self.y = across * cos + down * sin, down * cos - across * sin
        self.edge = 1.2 / scene.head

    def near(self, middle: tuple[float, float], reach: float) -> Canvas:
        """Return the square around a point; what is drawn on it is drawn here."""
        scene = self.scene
        cos, sin = np.cos(scene.roll), np.sin(scene.roll)
        row = scene.centre[1] + scene.head * (middle[1] * cos + middle[0] * sin)
        column = scene.centre[0] + scene.head * (middle[0] * cos - middle[1] * sin)
        first = [max(0, int(at - reach * scene.head)) for at in (row, column)]
        last = [max(0, int(at + reach * scene.head) + 2) for at in (row, column)]
        top, left = (max(at, own) for at, own in zip(first, self.corner, strict=True))
        bottom, right = (at - own for at, own in zip(last, self.corner, strict=True))
        rows = slice(top - self.corner[0], max(0, bottom))
        columns = slice(left - self.corner[1], max(0, right))
        return Canvas(self.pixels[rows, columns], scene, (top, left))

    def cover(self, mask: Doubles, colour: Colour | Doubles) -> None:
        """Blend a colour, or one a pixel, over the picture; ``mask`` (height, width) in [0, 1]."""
        shade: Any = np.asarray(colour, dtype=self.pixels.dtype)
        change = shade - self.pixels
        change *= mask[..., None]
        self.pixels += change

    def inside(
        self, middle: tuple[float, float], radii: tuple[float, float], soft: float = 0.0
    ) -> Doubles:
        """Return 1 inside an ellipse, 0 outside, with an edge of ``soft`` radii."""
        distance = np.hypot((self.x - middle[0]) / radii[0], (self.y - middle[1]) / radii[1])
        width = max(soft, self.edge / min(radii))
        return np.asarray(np.clip((1.0 + width / 2 - distance) / width, 0.0, 1.0))

    def ellipse(
        self,
        middle: tuple[float, float],
        radii: tuple[float, float],
        colour: Colour | Doubles,
        soft: float = 0.0,
        strength: float = 1.0,
    ) -> None:
        """Fill an ellipse."""
        around = self.near(middle, max(radii) * (1.0 + soft / 2.0) + 2.0 * self.edge)
        around.cover(strength * around.inside(middle, radii, soft), colour)

    def stroke(self, course: Doubles, thickness: Doubles | float, left: float, right: float) -> Any:
        """Return the mask of a line along y = ``course``, between two values of x."""
        across = np.clip((thickness - np.abs(self.y - course)) / self.edge + 0.5, 0.0, 1.0)
        ends = np.clip(np.minimum(self.x - left, right - self.x) / self.edge + 0.5, 0.0, 1.0)
        return across * ends
