"""Do several models say the same of the same clips?

Who asks: whoever wonders whether a new model, or a new version, can take the place of another.

Read it so: alpha is Krippendorff's (1: the same scores, 0: as by chance); icc_agreement is the
correlation of single scores where a model's own level counts, icc_consistency where it does not: if
only the second is high, the models rank clips alike and differ in level. Above 0.75 is usually
called good. Ends in _low and _high are those of the interval at 95 %, over speakers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emi_model.errors import QueryError
from tasks.asking.agreement import AGREEMENT, agreement_rows, agreement_warnings
from tasks.asking.answers import Answer, Wishes
from tasks.asking.scope import OpenClips, scores_among, with_clips
from tasks.schema.tables import SCORES
from tasks.store.queries.clip_views import CLIPS, all_view
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
SELECT all_scores.clip_id, model_sha256, speaker, {columns}
FROM all_scores
LEFT JOIN (SELECT clip_id, speaker FROM clips WHERE hash(clip_id) % {share} = 0) AS named
    ON all_scores.clip_id = named.clip_id
WHERE status = 'scored' AND missing_since IS NULL
    AND coverage = (SELECT any_value(coverage) FROM scores)
    AND hash(all_scores.clip_id) % {share} = 0
ORDER BY all_scores.clip_id, model_sha256"""

_ASKED = (CLIPS, all_view(SCORES))


def ask_model_agreement(location: str | Path, wishes: Wishes) -> Answer:
    """Return the answer to the question of this module.

    Raises:
        QueryError: fewer than two models have scored these clips.
        StoreError: no store there.
    """
    models, columns, share, found = with_clips(location, wishes.where, _scores, _ASKED)
    tables, speakers = rating_tables(found, "model_sha256", [f"v{n}" for n in range(len(columns))])
    rows = agreement_rows(columns, tables, speakers)
    names = ", ".join(f"{model['model']} ({model['model_sha256'][:8]})" for model in models)
    drawn = (f"of many clips one in {share} was drawn",) if share > 1 else ()
    return Answer(
        {"model_agreement": pa.Table.from_pylist(rows, AGREEMENT)},
        sentences=(f"Compared: {names}.",),
        warnings=(*drawn, *agreement_warnings(rows, speakers)),
    )


def _scores(clips: OpenClips) -> tuple[list[dict[str, Any]], list[str], int, pa.Table]:
    """Return the models, the columns of scores, one in how many clips was drawn, and their rows."""
    models = clips.rows(_MODELS).to_pylist()
    if len(models) < 2:
        raise QueryError(
            f"found the scores of {len(models)} models, expected two at least: score the clips by "
            "another one too, `emi process SOURCE --model REF`"
        )
    columns = scores_among(clips.columns())
    share = -(-max(model["clips"] for model in models) // MOST_RATED_CLIPS)
    chosen = ", ".join(f"{quoted_name(name)}::DOUBLE AS v{n}" for n, name in enumerate(columns))
    return models, columns, share, clips.rows(_SCORES.format(columns=chosen, share=share))


def rating_tables(
    rows: pa.Table, rater: str, columns: list[str]
) -> tuple[list[np.ndarray[Any, Any]], list[str | None]]:
    """Return ratings (clips, raters) of each column, NaN where a rater has none, and who speaks.

    Args:
        rows: with ``clip_id`` and ``speaker``, a row a clip and rater.
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
    _, first_rows = np.unique(places[0], return_index=True)
    return found, rows["speaker"].take(pa.array(first_rows)).to_pylist()
