"""Commands that a verb suggests: each can be pasted into a shell as it stands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

LOUDEST = "SELECT clip_id, arousal, valence FROM trusted_scores ORDER BY arousal DESC LIMIT 10"
"""A first question that scores of any model have an answer to."""


def command(*words: object) -> str:
    """Return an `emi` command, quoted for a shell."""
    return shlex.join(["emi", *map(str, words)])


def next_steps(results: str) -> str:
    """Return what to do after the first run into a store."""
    query = f'emi query "{LOUDEST}" --results {shlex.quote(results)}'
    return "\n".join(["next:", f"  {command('status', '--results', results)}", f"  {query}"])


def not_shown(record: Mapping[str, Any], current: Mapping[str, Any] | None) -> str | None:
    """Return a line if the view of scores does not show what a run scored, else None.

    Args:
        record: the run's row.
        current: the row of the table ``current_model``; None without one.
    """
    if current is None or all(record[name] == current[name] for name in _SET):
        return None
    why = "the champion" if current["is_champion"] else "the last whole run"
    return (
        f"`scores` goes on showing model {current['model']}, coverage {current['coverage']} "
        f"({why}): this run's rows are in `all_scores`"
    )


_SET = ("model_sha256", "coverage")
