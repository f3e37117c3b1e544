"""Names of what the model predicts, in the order of its outputs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from emi_model.errors import ConfigError

EMI_TARGETS = (
    "Admiration",
    "Amusement",
    "Determination",
    "Empathic Pain",
    "Excitement",
    "Joy",
)
"""The six targets of the EMI challenge (6th ABAW, 2024), in its order."""

VAD_DIMENSIONS = ("arousal", "dominance", "valence")
"""The outputs of the VAD head, in the order of the public model's labels 0, 1, 2."""


def column_name(target: str) -> str:
    """Return a target's column name: lower case, runs of other characters become one underscore."""
    return re.sub(r"\W+", "_", target.strip().lower()).strip("_")


def validate_targets(targets: Sequence[str]) -> tuple[str, ...]:
    """Return the targets as a tuple.

    Raises:
        ConfigError: two targets share a column name, or one has none or that of a VAD dimension.
    """
    columns = [column_name(target) for target in targets]
    for target, column in zip(targets, columns, strict=True):
        if not column or column in VAD_DIMENSIONS or columns.count(column) > 1:
            raise ConfigError(
                f"target {target!r} (column {column!r}) is empty, reserved or there twice: "
                "give every target a name of its own"
            )
    return tuple(targets)
