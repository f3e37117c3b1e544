"""How well do the raters of the clips agree?

Who asks: a researcher with ratings by several persons, before they become labels.

Read it so: alpha is Krippendorff's (1: the same ratings, 0: as by chance), from all clips with two
ratings at least; icc_agreement is that of a single rating, icc_agreement_mean that of the mean over
the raters, which labels mostly are, icc_consistency leaves each rater's own level out; these three
need clips that all rated, icc_one_way supposes that the raters of a clip are anybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emi_model.errors import MetadataError, QueryError
from tasks.asking.agreement import AGREEMENT, agreement_row
from tasks.asking.answers import Answer, Wishes
from tasks.asking.model_agreement import rating_tables
from tasks.asking.scope import ask_clips, clip_columns, number_column
from tasks.metadata.metadata_file import MetadataFile, read_metadata_file
from tasks.store.queries.quoting import quoted_name

RATER = "rater"


def ask_raters(location: str | Path, wishes: Wishes) -> Answer:
    """Return the answer to the question of this module.

    Raises:
        QueryError: neither a file of ratings nor columns, no such column.
        MetadataError: the file has problems.
        StoreError: no store there.
    """
    if wishes.ratings is not None and not wishes.columns and wishes.where is None:
        rows = _of_file(wishes.ratings)
    elif wishes.ratings is None and len(wishes.columns) > 1:
        rows = [_of_columns(location, wishes)]
    else:
        raise QueryError(
            "raters: say where the single ratings are: --ratings FILE with columns clip_id, rater "
            "and one a score; or a column a rater, --column joy_anna --column joy_ben (emi "
            "metadata add), with or without --where"
        )
    return Answer({"raters": pa.Table.from_pylist(rows, AGREEMENT)})


def _of_columns(location: str | Path, wishes: Wishes) -> dict[str, Any]:
    known = clip_columns(location)
    names = [number_column(name, known, "--column") for name in wishes.columns]
    chosen = ", ".join(f"{quoted_name(name)}::DOUBLE AS v{n}" for n, name in enumerate(names))
    found = ask_clips(location, f"SELECT {chosen} FROM clips", wishes.where)
    ratings = np.column_stack([column.to_numpy() for column in found.columns])
    return {"score": ", ".join(names), **agreement_row(ratings)}


def _of_file(path: str) -> list[dict[str, Any]]:
    """Return a row a score of a file with a row a clip and rater."""
    file = read_metadata_file(path, "clip_id")
    if file.problems:
        raise file.error(file.problems)
    scores = [
        name
        for name, values in file.columns.items()
        if name != RATER and (pa.types.is_integer(values.type) or pa.types.is_floating(values.type))
    ]
    if RATER not in file.columns or not scores:
        raise MetadataError(
            f"{path}: found columns {', '.join(file.columns)}, expected {RATER} and a column of "
            "numbers a score beside clip_id"
        )
    _check_pairs(file)
    rows = pa.table(
        {
            "clip_id": pa.array(file.names, pa.string()),
            RATER: file.columns[RATER].cast(pa.string()),
            **{name: file.columns[name] for name in scores},
        }
    )
    tables = rating_tables(rows, RATER, scores)
    return [
        {"score": name, **agreement_row(table)} for name, table in zip(scores, tables, strict=True)
    ]


def _check_pairs(file: MetadataFile) -> None:
    """Check that each rater is named, and rated a clip once.

    Raises:
        MetadataError: not so.
    """
    seen: dict[tuple[str, str], int] = {}
    raters = file.columns[RATER].cast(pa.string()).to_pylist()
    for line, clip, rater in zip(file.lines, file.names, raters, strict=True):
        if rater is None or (clip, rater) in seen:
            why = "no rater" if rater is None else f"{rater} rates {clip} again"
            raise MetadataError(f"{file.path}: {file.counted_in} {line}: {why}")
        seen[clip, rater] = line
