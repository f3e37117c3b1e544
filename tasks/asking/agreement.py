"""The figures of agreement of tables of ratings, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from emi_model.arrays import Doubles
from emi_model.metrics.bootstrap import FEW_GROUPS, Estimate
from emi_model.metrics.rater_agreement import ICC_NAMES, RaterAgreement, rater_agreement
from emi_model.metrics.speaker_draws import FEWEST_SPEAKERS

_NUMBER, _COUNT = pa.float64(), pa.int64()
_FIGURES = ("alpha", *(f"icc_{name}" for name in ICC_NAMES))
AGREEMENT = pa.schema(
    [
        ("score", pa.string()),
        *((f"{name}{end}", _NUMBER) for name in _FIGURES for end in ("", "_low", "_high")),
        *(("clips", _COUNT), ("complete_clips", _COUNT), ("raters", _COUNT), ("speakers", _COUNT)),
    ]
)
"""clips have two ratings at least, which alpha is of; complete_clips have all, for the rest; low
and high are the ends of the interval at 95 %, over the speakers."""

NAMING = "name them with `emi metadata speakers '{speaker}/*'`"


def agreement_rows(
    names: Sequence[str], tables: Sequence[Doubles], speakers: Sequence[str | None]
) -> list[dict[str, Any]]:
    """Return a row of `AGREEMENT` a score.

    Args:
        names: of the scores.
        tables: of each the ratings (clips, raters), NaN where a rater did not rate.
        speakers: of the clips; None: the clip is a speaker of its own.
    """
    found = rater_agreement(tables, speakers)
    return [
        {"score": name, "raters": table.shape[1], **_figures(one)}
        for name, table, one in zip(names, tables, found, strict=True)
    ]


def agreement_warnings(
    rows: Sequence[dict[str, Any]], speakers: Sequence[str | None], naming: str = NAMING
) -> tuple[str, ...]:
    """Return what the intervals of some rows cannot say for sure.

    Args:
        rows: of `agreement_rows`.
        speakers: of the clips.
        naming: how speakers are named.
    """
    found = []
    fewest = min((row["speakers"] for row in rows if row["clips"]), default=FEW_GROUPS)
    if fewest < FEWEST_SPEAKERS:
        found.append(f"too few speakers for an interval, {FEWEST_SPEAKERS} at least: {fewest}")
    elif fewest < FEW_GROUPS:
        found.append(f"intervals of fewer than {FEW_GROUPS} speakers are rough: {fewest}")
    nameless = sum(not name for name in speakers)
    if nameless:
        found.append(
            f"of {nameless} clips nobody knows who speaks, so each counts as a speaker of its own: "
            f"if speakers have several clips, the intervals are far too narrow; {naming}"
        )
    return tuple(found)


def _figures(found: RaterAgreement) -> dict[str, Any]:
    estimates = [found.alpha, *(found.correlations[name] for name in ICC_NAMES)]
    row: dict[str, Any] = {}
    for name, estimate in zip(_FIGURES, estimates, strict=True):
        row |= _ends(name, estimate)
    counts = {"clips": found.num_clips, "complete_clips": found.num_complete}
    return row | counts | {"speakers": found.num_speakers}


def _ends(name: str, found: Estimate) -> dict[str, Any]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
