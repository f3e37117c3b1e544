"""Whether a model is judged, or people are compared, by clips that it was trained on."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from emi_model.errors import ModelNotFound, RegistryError
from tasks.asking.scope import scoped
from tasks.registry.trained_on import trained_on_by_hash
from tasks.store.query import answer

UNRECORDED = """\
CASE
    WHEN (SELECT count(training_split) = 0 FROM main.scores) THEN any_value(model_sha256)
END"""
"""SQL over `trusted_scores`: the model's hash where no row of the store says what it learnt."""

_BY_CONTENT = """\
SELECT
    count(*) FILTER (split = 'train') AS train,
    count(*) FILTER (split = 'valid') AS valid
FROM trusted_scores JOIN learnt USING (content_sha256)"""


def learnt_clips(
    location: str | Path,
    where: str | None,
    recorded: tuple[int, int],
    num_clips: int,
    unrecorded: str | None,
) -> tuple[str, ...]:
    """Return a warning if any of some clips had a part in the training of their model.

    Their rows say it; else the registered model, or the labels of the store, do.

    Args:
        location: of the store.
        where: SQL, the condition that the clips meet.
        recorded: how many of them the rows say that the model was trained on, and how many chose
            the epoch.
        num_clips: all of them.
        unrecorded: the model's hash where no row says anything; else None.
    """
    leave_out = 'leave them out with --where "training_split IS NULL"'
    train, valid = recorded
    if unrecorded is not None:
        train, valid = _recorded_elsewhere(location, where, unrecorded)
        leave_out = "which ones, the rows say after `emi process --rescore`"
    if train:
        return (
            f"the model was trained on {train} of these {num_clips} clips: it may know their "
            f"labels by heart; {leave_out}",
        )
    if valid:
        return (
            f"{valid} of these {num_clips} clips chose the epoch of the model's training; "
            f"{leave_out}",
        )
    return ()


def _recorded_elsewhere(location: str | Path, where: str | None, sha256: str) -> tuple[int, int]:
    try:
        splits = trained_on_by_hash(sha256, [location]).splits
    except (ModelNotFound, RegistryError):  # its files are gone: nothing is known
        return 0, 0
    if not splits:
        return 0, 0
    learnt = pa.table({"content_sha256": list(splits), "split": list(splits.values())})
    rows = answer(location, scoped(_BY_CONTENT, where, whole=True), {"learnt": learnt}).to_pylist()
    return rows[0]["train"], rows[0]["valid"]
