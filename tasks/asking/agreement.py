"""The figures of agreement of a table of ratings, as a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from emi_model.arrays import Doubles
from emi_model.metrics.raters import intraclass_correlations, krippendorff_alpha

_NUMBER, _COUNT = pa.float64(), pa.int64()
AGREEMENT = pa.schema(
    [
        *(("score", pa.string()), ("alpha", _NUMBER)),
        *(("icc_agreement", _NUMBER), ("icc_consistency", _NUMBER)),
        *(("icc_agreement_mean", _NUMBER), ("icc_one_way", _NUMBER)),
        *(("clips", _COUNT), ("complete_clips", _COUNT), ("raters", _COUNT)),
    ]
)
"""clips have two ratings at least, which alpha is of; complete_clips have all, for the rest."""


def agreement_row(ratings: Doubles) -> dict[str, Any]:
    """Return the figures of ratings (clips, raters), NaN where a rater did not rate."""
    number = (~np.isnan(ratings)).sum(axis=1)
    complete = ratings[number == ratings.shape[1]]
    row: dict[str, Any] = {
        "alpha": krippendorff_alpha(ratings),
        "clips": int((number >= 2).sum()),
        "complete_clips": len(complete),
        "raters": ratings.shape[1],
    }
    if len(complete) < 2 or ratings.shape[1] < 2:
        return row
    found = intraclass_correlations(complete)
    return row | {
        "icc_agreement": found.agreement,
        "icc_consistency": found.consistency,
        "icc_agreement_mean": found.agreement_mean,
        "icc_one_way": found.one_way,
    }
