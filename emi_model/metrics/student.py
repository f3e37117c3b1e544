"""Student's distribution, for intervals of few speakers: the standard library has the normal one.

The finite series for a whole number of degrees of freedom: Abramowitz and Stegun 1964, "Handbook of
Mathematical Functions", 26.7.3 and 26.7.4.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

NORMAL = NormalDist()

MANY_FREEDOMS = 500
"""From so many degrees of freedom on the normal distribution stands in: 0.2 % nearer to 0."""

_HALVINGS = 60
_WIDEST = 1e6


def student_p(t: float, freedom: int) -> float:
    """Return the two-sided p-value: the chance that Student's variable is further from 0 than t.

    Args:
        t: any finite number.
        freedom: degrees of freedom, from 1.
    """
    t = abs(t)
    if freedom >= MANY_FREEDOMS:
        return 2.0 * (1.0 - NORMAL.cdf(t))
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    first = freedom % 2  # the power of the cosine that the series begins with
    term, total = (cosine if first else 1.0), 0.0
    for power in range(first, freedom - 1, 2):
        total += term
        term *= cosine * cosine * (power + 1) / (power + 2)
    inside = 2.0 / math.pi * (angle + sine * total) if first else sine * total
    return max(0.0, 1.0 - inside)


@cache
def student_quantile(level: float, freedom: int) -> float:
    """Return the t of which a share ``level`` of Student's variable is nearer to 0.

    Args:
        level: in (0, 1); 0.95 with 19 degrees of freedom gives 2.093.
        freedom: degrees of freedom, from 1.
    """
    low, high = 0.0, _WIDEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if student_p(middle, freedom) > 1 - level else (low, middle)
    return high
