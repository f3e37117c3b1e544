"""Do several models say the same of the same clips?

Who asks: whoever wonders whether a new model, or a new version, can take the place of another.

Read it so: alpha is Krippendorff's (1: the same scores, 0: as by chance); icc_agreement is the
correlation of single scores where a model's own level counts, icc_consistency where it does not: if
only the second is high, the models rank clips alike and differ in level. Above 0.75 is usually
called good.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emi_model.errors import QueryError
from tasks.asking.agreement import AGREEMENT, agreement_row
from tasks.asking.answers import Answer, Wishes
from tasks.asking.scope import ask_clips, clip_columns, scores_among
from tasks.store.queries.quoting import quoted_name

MOST_RATED_CLIPS = 100_000
"""Clips that the figures are computed from; of more, so many are drawn."""

_MODELS = """\
SELECT model_sha256, any_value(model) AS model, count(DISTINCT clip_id) AS clips
FROM all_scores
WHERE status = 'scored' AND missing_since IS NULL
    AND coverage = (SELECT any_value(coverage) FROM scores)
GROUP BY ALL
ORDER BY model, model_sha256"""

_SCORES = """\
SELECT clip_id, model_sha256, {columns}
FROM all_scores
WHERE status = 'scored' AND missing_since IS NULL
    AND coverage = (SELECT any_value(coverage) FROM scores)
    AND hash(clip_id) % {share} = 0"""


def ask_model_agreement(location: str | Path, wishes: Wishes) -> Answer:
    """Return the answer to the question of this module.

    Raises:
        QueryError: fewer than two models have scored these clips.
        StoreError: no store there.
    """
    models = ask_clips(location, _MODELS, wishes.where).to_pylist()
    if len(models) < 2:
        raise QueryError(
            f"found the scores of {len(models)} models, expected two at least: score the clips by "
            "another one too, `emi process SOURCE --model REF`"
        )
    columns = scores_among(clip_columns(location))
    share = -(-max(model["clips"] for model in models) // MOST_RATED_CLIPS)
    chosen = ", ".join(f"{quoted_name(name)}::DOUBLE AS v{n}" for n, name in enumerate(columns))
    found = ask_clips(location, _SCORES.format(columns=chosen, share=share), wishes.where)
    tables = rating_tables(found, "model_sha256", [f"v{n}" for n in range(len(columns))])
    rows: list[dict[str, Any]] = [
        {"score": name, **agreement_row(table)} for name, table in zip(columns, tables, strict=True)
    ]
    names = ", ".join(f"{model['model']} ({model['model_sha256'][:8]})" for model in models)
    drawn = (f"of many clips one in {share} was drawn",) if share > 1 else ()
    return Answer(
        {"model_agreement": pa.Table.from_pylist(rows, AGREEMENT)},
        sentences=(f"Compared: {names}.",),
        warnings=drawn,
    )


def rating_tables(rows: pa.Table, rater: str, columns: list[str]) -> list[np.ndarray[Any, Any]]:
    """Return ratings (clips, raters) of each column, NaN where a rater has none.

    Args:
        rows: with ``clip_id``, a row a clip and rater.
        rater: column that names the rater.
        columns: of numbers.
    """
    clips = rows["clip_id"].dictionary_encode().combine_chunks()
    raters = rows[rater].dictionary_encode().combine_chunks()
    shape = (len(clips.dictionary), len(raters.dictionary))
    places = clips.indices.to_numpy(), raters.indices.to_numpy()
    found = []
    for name in columns:
        table = np.full(shape, np.nan)
        table[places] = rows[name].cast(pa.float64()).to_numpy()
        found.append(table)
    return found
