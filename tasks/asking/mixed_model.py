"""How do groups differ, by a mixed model with a random effect per speaker?

Who asks: a researcher whose field expects a linear mixed model; pip install 'emi-workflow[stats]'.

Read it so: estimate is how much higher the group scores than the one under less, low and high the
ends of its interval at 95 %; p_holm is corrected for the number of estimates. speaker_share is the
share of the spread that lies between speakers, 0 to 1: near 1, further clips of a speaker add
nothing.
"""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emi_model.arrays import Doubles
from emi_model.errors import ConfigError, QueryError
from emi_model.metrics.systems import holm
from tasks.asking.answers import Answer, Wishes
from tasks.asking.groups import MOST_GROUPS, WHO_SPOKE
from tasks.asking.scope import (
    TRUSTED,
    OpenClips,
    known_column,
    number_column,
    scores_among,
    with_clips,
)
from tasks.asking.training_clips import UNRECORDED, learnt_clips
from tasks.store.queries.quoting import quoted_name

MOST_ROWS = 200_000
"""More clips take minutes a score."""

NO_SPREAD = 1e-4
"""Share of a spread below which there is none."""

NO_STATSMODELS = "a mixed model needs statsmodels: pip install 'emi-workflow[stats]'"

_CLIPS = """\
SELECT {by}::VARCHAR AS group_name, speaker, training_split, {columns}
FROM trusted_scores
WHERE {by} IS NOT NULL AND speaker IS NOT NULL
ORDER BY clip_id
LIMIT {most}"""

_WORD, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()
_SCHEMA = pa.schema(
    [
        *(("score", _WORD), ("group", _WORD), ("less", _WORD), ("estimate", _NUMBER)),
        *(("low", _NUMBER), ("high", _NUMBER), ("p", _NUMBER), ("p_holm", _NUMBER)),
        *(("speaker_share", _NUMBER), ("clips", _COUNT), ("speakers", _COUNT)),
    ]
)


def ask_mixed_model(location: str | Path, wishes: Wishes) -> Answer:
    """Return the answer to the question of this module.

    Raises:
        ConfigError: statsmodels is not installed.
        QueryError: no such column, or nothing to compare.
        StoreError: no store there.
    """
    if wishes.by is None:
        raise QueryError("mixed_model: say which column tells the groups apart: --by condition")
    by, columns, clips, unrecorded = with_clips(
        location, wishes.where, partial(_asked, wishes.by, wishes)
    )
    groups = sorted(set(clips["group_name"].to_pylist()))
    _check(by, clips, groups)
    rows: list[dict[str, Any]] = []
    remarks: list[str] = []
    for n, name in enumerate(columns):
        values = clips[f"v{n}"].to_numpy()
        found, remark = _fitted(values, clips, groups)
        rows += [{"score": name, "less": groups[0], **row} for row in found]
        remarks += [f"{name}: {remark}"] if remark else []
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    splits = clips["training_split"].to_pylist()
    recorded = (splits.count("train"), splits.count("valid"))
    remarks += learnt_clips(location, wishes.where, recorded, len(splits), unrecorded)
    table = pa.Table.from_pylist(rows, _SCHEMA)
    return Answer({"mixed_model": table}, warnings=tuple(remarks))


def _asked(
    wanted: str, wishes: Wishes, clips: OpenClips
) -> tuple[str, list[str], pa.Table, str | None]:
    """Return the column of groups and those that are compared, as spelled, and the clips' rows.

    The last is the model's hash where no row says what it was trained on.
    """
    known = clips.columns()
    by = known_column(wanted, known, "--by")
    columns = [number_column(name, known, "--column") for name in wishes.columns]
    columns = columns or scores_among(known)
    chosen = ", ".join(f"{quoted_name(name)}::DOUBLE AS v{n}" for n, name in enumerate(columns))
    sql = _CLIPS.format(by=quoted_name(by), columns=chosen, most=MOST_ROWS + 1)
    unrecorded = clips.rows(f"SELECT {UNRECORDED} AS sha256 FROM {TRUSTED}")["sha256"][0].as_py()
    return by, columns, clips.rows(sql), unrecorded


def _check(by: str, clips: pa.Table, groups: list[str]) -> None:
    if clips.num_rows > MOST_ROWS:
        raise QueryError(
            f"a mixed model of more than {MOST_ROWS} clips takes too long: choose some with "
            "--where, or ask `emi ask groups`, which takes any number"
        )
    if len(groups) < 2:
        raise QueryError(
            f"{by}: {len(groups)} groups among {clips.num_rows} clips whose {WHO_SPOKE} is known, "
            "expected two at least: name speakers by `emi metadata speakers '{speaker}/*'`"
        )
    if len(groups) > MOST_GROUPS:
        raise QueryError(f"--by {by}: found {len(groups)} groups, expected at most {MOST_GROUPS}")


def _fitted(
    values: Doubles, clips: pa.Table, groups: list[str]
) -> tuple[list[dict[str, Any]], str]:
    """Return a row a group but the first, and what is to be said of the fit."""
    try:
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError as error:
        raise ConfigError(NO_STATSMODELS) from error
    has = ~np.isnan(values)
    group = np.array([groups.index(name) for name in clips["group_name"].to_pylist()])[has]
    speakers = np.array(clips[WHO_SPOKE].to_pylist())[has]
    design = np.column_stack(
        [np.ones(len(group)), *(group == place for place in range(1, len(groups)))]
    ).astype(np.float64)
    common: dict[str, Any] = {
        "clips": int(has.sum()),
        "speakers": len(set(speakers.tolist())),
    }
    empty = [{"group": name, "p": None, **common} for name in groups[1:]]
    if np.linalg.matrix_rank(design) < len(groups) or common["speakers"] < 2:
        return empty, "a group has no clip with a value: not fitted"
    scores = values[has]
    if np.ptp(scores) == 0:
        return empty, "all values are alike: not fitted"
    if np.unique(speakers, return_counts=True)[1].max() < 2:
        return empty, (
            "no speaker has two clips with a value, so that the spread between speakers cannot be "
            "told from that within: not fitted; ask `emi ask groups`"
        )
    left = scores - design @ np.linalg.lstsq(design, scores)[0]
    if np.abs(left).max() < NO_SPREAD * np.ptp(scores):
        return empty, "the values within each group are alike: not fitted"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is judged by the fit itself, below
        try:
            fit = MixedLM(scores, design, groups=speakers).fit(reml=True)
        except np.linalg.LinAlgError as error:
            return empty, f"not fitted ({error})"
    rows = [
        {"group": name, **common, **_estimate(fit, place)}
        for place, name in enumerate(groups[1:], 1)
    ]
    doubtful = "" if fit.converged else "the fit did not converge: do not rely on it"
    if not doubtful and rows[0]["speaker_share"] < NO_SPREAD:
        doubtful = "speakers hardly differ: their spread is estimated as 0"
    return rows, doubtful


def _estimate(fit: Any, place: int) -> dict[str, Any]:
    """Return a fitted effect with its interval, by the normal distribution."""
    low, high = fit.conf_int()[place]
    between = float(np.asarray(fit.cov_re)[0, 0])
    return {
        "estimate": float(fit.fe_params[place]),
        "low": float(low),
        "high": float(high),
        "p": float(fit.pvalues[place]),
        "speaker_share": between / (between + float(fit.scale)),
    }
