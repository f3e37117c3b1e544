"""An SVG picture: shapes whose colours the page's style sheet gives, for light, dark and print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count

from markupsafe import Markup

_NUMBERS = count(1)
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


class Drawing:
    """A picture of some size, in units of about a pixel on a telephone; wider screens scale it.

    All text is escaped: it may be other people's.
    """

    def __init__(self, width: float, height: float, title: str, description: str) -> None:
        """Begin an empty picture.

        Args:
            width: of the picture.
            height: of the picture.
            title: read by screen readers as the picture's name.
            description: what it shows, in a sentence or two.
        """
        self.width, self.height = width, height
        self._title, self._description = title, description
        self._shapes: list[Markup] = []

    def box(
        self, x: float, y: float, width: float, height: float, kind: str, share: float | None = None
    ) -> None:
        """Add a rectangle.

        Args:
            x: of its left side.
            y: of its upper side.
            width: of it.
            height: of it.
            kind: its class in the style sheet.
            share: opacity, 0 to 1; default that of the style sheet.
        """
        opacity = (
            Markup("") if share is None else Markup(' fill-opacity="{}"').format(_short(share))
        )
        self._shapes.append(
            Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"{}/>').format(
                kind, _short(x), _short(y), _short(width), _short(height), opacity
            )
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Add a straight line."""
        self.path([(x1, y1), (x2, y2)], kind)

    def path(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Add a line through points."""
        steps = "L".join(f"{_short(x)} {_short(y)}" for x, y in points)
        self._shapes.append(Markup('<path class="{}" d="M{}"/>').format(kind, steps))

    def dot(self, x: float, y: float, radius: float, kind: str) -> None:
        """Add a circle."""
        self._shapes.append(
            Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(
                kind, _short(x), _short(y), _short(radius)
            )
        )

    def text(
        self, x: float, y: float, words: str, kind: str = "tick", *, turned: bool = False
    ) -> None:
        """Add text; its class says which end ``x`` is, and ``turned`` lets it run upwards."""
        at = f"{_short(x)} {_short(y)}"
        turn = f' transform="rotate(-90 {at})"' if turned else ""
        self._shapes.append(
            Markup('<text class="{}" x="{}" y="{}"{}>{}</text>').format(
                kind, _short(x), _short(y), Markup(turn), words
            )
        )

    def svg(self) -> Markup:
        """Return the picture."""
        number = next(_NUMBERS)
        head = Markup(
            '<svg viewBox="0 0 {w} {h}" role="img" aria-labelledby="t{n} d{n}" data-width="{w}">'
            '<title id="t{n}">{title}</title><desc id="d{n}">{description}</desc>'
        ).format(
            w=_short(self.width),
            h=_short(self.height),
            n=number,
            title=self._title,
            description=self._description,
        )
        return head + Markup("").join(self._shapes) + Markup("</svg>")


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers from ``low`` to ``high``, about so many, both ends included if round."""
    if not high > low:
        return [low]
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(one for one in _STEPS if raw <= one * power * (1 + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def shortened(text: str, length: int) -> str:
    """Return a text of at most so many characters, its middle left out."""
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[: length - 1 - half]}…{text[-half:]}"


def _short(number: float) -> str:
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
