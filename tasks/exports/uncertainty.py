"""How uncertain a model is of each clip: which clips a rater should hear first.

| what is there | measure |
|---|---|
| scores of two models or more | how much they differ: twice the standard deviation, mean of the targets (query by committee; Seung, Opper, Sompolinsky 1992, COLT) |
| a calibrated model | width of the intervals, mean of the targets |
| else | how near the scores are to the middle: 1 - abs(2 * score - 1), mean of the targets |

All are from 0 to 1, and one of them holds for all clips of an export.
"""  # noqa: E501 - a table

from __future__ import annotations

from collections.abc import Sequence

from tasks.exports.selection import CHOSEN, Selection


def uncertainty_sql(selection: Selection) -> tuple[str, str]:
    """Return SQL with the columns clip_id and uncertainty, and what is measured in words.

    A clip whose uncertainty is not known has null: one that another model has not scored.
    """
    names = [f'"{name}"' for name in selection.targets]
    counted = selection.rows(
        f"SELECT count(DISTINCT model_sha256) AS models FROM all_scores "
        f"SEMI JOIN {CHOSEN} USING (clip_id) WHERE status = 'scored'"
    )
    if counted[0]["models"] > 1:
        differ = [f"2 * stddev_pop({name})" for name in names]
        return (
            f"SELECT clip_id, {_mean(differ)} AS uncertainty FROM all_scores "
            f"WHERE status = 'scored' GROUP BY clip_id HAVING count(DISTINCT model_sha256) > 1",
            "how much models differ",
        )
    widths = [f'"{name}_high" - "{name}_low"' for name in selection.targets]
    known = " OR ".join(f'"{name}_low" IS NOT NULL' for name in selection.targets)
    if selection.rows(f"SELECT 1 AS known FROM {CHOSEN} WHERE {known} LIMIT 1"):
        return (
            f"SELECT clip_id, {_mean(widths)} AS uncertainty FROM {CHOSEN}",
            "width of the intervals",
        )
    near = [f"1 - abs(2 * {name} - 1)" for name in names]
    return (
        f"SELECT clip_id, {_mean(near)} AS uncertainty FROM {CHOSEN}",
        "how near the scores are to the middle",
    )


def _mean(values: Sequence[str]) -> str:
    """Return the SQL of the mean of what is not null; null if all is."""
    return f"list_avg([{', '.join(values)}])"
