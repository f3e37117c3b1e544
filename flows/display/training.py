"""Trainings and decisions on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from flows.display.hints import command
from flows.display.numbers import format_number
from flows.display.text import say

MAX_MISSING = 10
"""Missing clips that are listed; all are counted."""


def show_training(found: Mapping[str, Any], out: TextIO, *, undecided: bool = True) -> None:
    """Write what `flows.train.summary` holds: the version, how it was made, how good it is.

    Args:
        found: that summary.
        out: where to write.
        undecided: nothing decides whether it becomes champion: say how a person can.
    """
    clips = f"{found['num_train']} clips to train, {found['num_valid']} to validate"
    lines = [f"{found['reference']}: {clips}"]
    if found["trained_before"]:
        lines.append("trained before: nothing was done")
    else:
        lines.append(
            f"epoch {found['epoch']} of {found['num_epochs']}, {found['seconds']:.0f} s of training"
        )
    lines += [_pearson(found), f"folder: {found['folder']}", *_missing(found["missing"])]
    if undecided and not found["aliases"]:
        lines.append(f"make it champion: {command('models', 'promote', found['reference'])}")
    say("\n".join(lines), out)


def show_decision(row: Mapping[str, Any], out: TextIO) -> None:
    """Write what a retraining decided, and the numbers that decided it."""
    show_training(row["training"], out, undecided=False)
    if row["challenger"] is None:
        say(row["reason"], out)
        return
    verdict = "promoted" if row["promoted"] else "not promoted"
    champion = f"version {row['champion']}" if row["champion"] else "none"
    lines = [
        f"{verdict}: {row['reason']}",
        f"  champion before: {champion}, mean Pearson {format_number(row['champion_pearson'])}",
        f"  challenger: version {row['challenger']}, mean Pearson "
        f"{format_number(row['challenger_pearson'])}, on {row['num_clips']} clips that "
        "neither learnt",
    ]
    say("\n".join(lines), out)


def _pearson(found: Mapping[str, Any]) -> str:
    figures = [found[name] for name in ("mean_pearson", "mean_pearson_low", "mean_pearson_high")]
    value, low, high = map(format_number, figures)
    return f"mean Pearson on the validation clips: {value} (95 % interval {low} to {high})"


def _missing(missing: Mapping[str, str]) -> list[str]:
    if not missing:
        return []
    listed = [f"  {clip_id}: {why}" for clip_id, why in list(missing.items())[:MAX_MISSING]]
    more = [f"  and {len(missing) - MAX_MISSING} more"] if len(missing) > MAX_MISSING else []
    return [f"{len(missing)} labelled clips were left out:", *listed, *more]
