"""How well do the raters of the clips agree?

Who asks: a researcher with ratings by several persons, before they become labels.

Read it so: alpha is Krippendorff's (1: the same ratings, 0: as by chance), from all clips with two
ratings at least; icc_agreement is that of a single rating, icc_agreement_mean that of the mean over
the raters, which labels mostly are, icc_consistency leaves each rater's own level out; these three
need clips that all rated, icc_one_way supposes that the raters of a clip are anybody. Ends in _low
and _high are those of the interval at 95 %, over speakers.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from emi_model.arrays import Doubles
from emi_model.errors import MetadataError, QueryError
from tasks.asking.agreement import AGREEMENT, NAMING, agreement_rows, agreement_warnings
from tasks.asking.answers import Answer, Wishes
from tasks.asking.model_agreement import rating_tables
from tasks.asking.scope import OpenClips, number_column, with_clips
from tasks.labels.label_columns import SPEAKER
from tasks.metadata.metadata_file import MetadataFile, read_metadata_file
from tasks.store.queries.quoting import quoted_name

RATER = "rater"

_Rated = tuple[list[str], list[Doubles], list[str | None]]
"""Names of scores, the ratings (clips, raters) of each, and who speaks in the clips."""


def ask_raters(location: str | Path, wishes: Wishes) -> Answer:
    """Return the answer to the question of this module.

    Raises:
        QueryError: neither a file of ratings nor columns, no such column.
        MetadataError: the file has problems.
        StoreError: no store there.
    """
    if wishes.ratings is not None and not wishes.columns and wishes.where is None:
        names, tables, speakers = _of_file(wishes.ratings)
        naming = "add a column speaker to the file"
    elif wishes.ratings is None and len(wishes.columns) > 1:
        names, tables, speakers = with_clips(location, wishes.where, partial(_of_columns, wishes))
        naming = NAMING
    else:
        raise QueryError(
            "raters: say where the single ratings are: --ratings FILE with columns clip_id, rater "
            "and one a score; or a column a rater, --column joy_anna --column joy_ben (emi "
            "metadata add), with or without --where"
        )
    rows = agreement_rows(names, tables, speakers)
    return Answer(
        {"raters": pa.Table.from_pylist(rows, AGREEMENT)},
        warnings=agreement_warnings(rows, speakers, naming),
    )


def _of_columns(wishes: Wishes, clips: OpenClips) -> _Rated:
    known = clips.columns()
    names = [number_column(name, known, "--column") for name in wishes.columns]
    chosen = ", ".join(f"{quoted_name(name)}::DOUBLE AS v{n}" for n, name in enumerate(names))
    found = clips.rows(f"SELECT {chosen}, speaker FROM clips ORDER BY clip_id")
    ratings = np.column_stack([found[f"v{n}"].to_numpy() for n in range(len(names))])
    return [", ".join(names)], [ratings], found["speaker"].to_pylist()


def _of_file(path: str) -> _Rated:
    """Return the ratings of a file with a row a clip and rater; it may say who speaks."""
    file = read_metadata_file(path, "clip_id")
    if file.problems:
        raise file.error(file.problems)
    scores = [
        name
        for name, values in file.columns.items()
        if name not in {RATER, SPEAKER}
        and (pa.types.is_integer(values.type) or pa.types.is_floating(values.type))
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
            SPEAKER: _speakers(file),
            **{name: file.columns[name] for name in scores},
        }
    )
    tables, speakers = rating_tables(rows, RATER, scores)
    return scores, tables, speakers


def _speakers(file: MetadataFile) -> pa.Array:
    if SPEAKER not in file.columns:
        return pa.nulls(len(file.names), pa.string())
    return file.columns[SPEAKER].cast(pa.string())


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
