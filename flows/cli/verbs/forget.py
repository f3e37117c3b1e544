"""`emi forget`: removes all that is kept of some clips, or of a speaker."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from flows.cli.options import LOCATION, json_option, results_option
from flows.cli.run import write_json
from flows.display.terminal import terminal
from flows.display.text import say

if TYPE_CHECKING:
    from tasks.forgetting.forget import Forgotten
    from tasks.forgetting.models import TrainedVersion

MAX_LEFT_NAMED = 10
"""Files and clips that are named on a terminal; JSON has all."""

UNLEARNING = (
    "a model cannot unlearn: `emi train` one without them, `emi models promote` it, score "
    "anew with it, then delete the versions above in MLflow"
)


@click.command()
@results_option
@click.option(
    "--labels",
    multiple=True,
    type=LOCATION,
    metavar="DIR",
    help="Another store to forget them from, as one of labels; may be repeated.",
)
@click.option(
    "--clip",
    "pattern",
    metavar="PATTERN",
    help="Clips by their id: `anna/007.mp4`, `anna/*`, `*_p12.mp4`.",
)
@click.option("--speaker", metavar="NAME", help="All clips of a speaker of labels or metadata.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask; without a terminal nothing is asked.")
@json_option
def forget(
    results: str,
    labels: tuple[str, ...],
    pattern: str | None,
    speaker: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove all that stores and this machine keep of some clips; it cannot be undone.

    Rows of every table, labels, cached audio and features, names in logs and reports. Names the
    models that were trained on the clips. The table `forgotten` notes that it was done and how much
    it was, never what. The clips' own files are yours to remove: while they are there, the next
    `emi process` scores them again.

    Example: `emi forget --results results --speaker p12 --dry-run`
    """
    from emi_model.errors import CorpusError
    from tasks.forgetting.forget import finish_forgetting, forget_clips, plan_forgetting

    if (pattern is None) == (speaker is None):
        raise click.UsageError("Name either --clip PATTERN or --speaker NAME.")
    num_resumed = 0 if dry_run else finish_forgetting(results, labels)
    if num_resumed:
        say("finished what an earlier call had begun", terminal().err)
    try:
        wanted, found = plan_forgetting(results, pattern, speaker, labels)
    except CorpusError:
        if not num_resumed:
            raise
        return  # that was it
    asks = not dry_run and not yes and sys.stdin.isatty()
    if asks or not as_json:
        lines = "\n".join(_lines(found, "would forget" if dry_run else "forgets"))
        say(lines, terminal().err if as_json else terminal().out)
    if not dry_run:
        if asks:
            click.confirm("Remove it?", abort=True, err=True)
        forget_clips(results, wanted, found.amount, labels)
    if as_json:
        write_json([_row(found, dry_run)])
    elif not dry_run:
        say("done: `forgotten` has a row of it", terminal().out)


def _lines(found: Forgotten, verb: str) -> list[str]:
    amount = found.amount
    lines = [f"{verb} {_counted(len(found.clip_ids), 'clip')}"]
    for location, by_table in amount.num_rows.items():
        rows = ", ".join(f"{count} of {table}" for table, count in by_table.items())
        lines.append(f"  rows in {location}: {rows or 'none'}")
    lines.append(
        f"  {_counted(amount.num_cached, 'cached file')}, "
        f"{_counted(amount.num_texts, 'log or report', 'logs and reports')} that name them"
    )
    lines += [_of_model(model) for model in found.models]
    if any(not model.why for model in found.models):
        lines.append(UNLEARNING)
    if found.registry_error:
        lines.append(f"which models were trained on them is not known: {found.registry_error}")
    for why, names in _left(found).items():
        lines += _named(why, names)
    return lines


def _left(found: Forgotten) -> dict[str, list[str]]:
    """Return what only people can remove, by what to do about it."""
    return {
        "the files are still there: remove them, or the next `emi process` scores them again": list(
            found.still_there
        ),
        "other clips have the same content, and stay: name them, too, if they are to go": list(
            found.same_content
        ),
        "trainings that were stopped, or run yet, may have learnt from them: end them, and remove "
        "these folders": [str(path) for path in found.trainings],
        "other programs' databases name them: see infra/docs/forgetting.md": [
            str(path) for path in found.databases
        ],
    }


def _named(why: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = len(names) - MAX_LEFT_NAMED
    return [
        why,
        *(f"  {name}" for name in names[:MAX_LEFT_NAMED]),
        *([f"  and {more} more"] if more > 0 else []),
    ]


def _of_model(model: TrainedVersion) -> str:
    name = f"{model.version.name} {model.version}"
    if model.why:
        return f"{name}: what it was trained on is not known: {model.why}"
    return f"{name} learnt from {model.num_train} of them; {model.num_valid} chose its epoch"


def _counted(count: int, one: str, several: str = "") -> str:
    return f"{count} {one if count == 1 else several or f'{one}s'}"


def _row(found: Forgotten, dry_run: bool) -> dict[str, Any]:
    amount = found.amount
    return {
        "dry_run": dry_run,
        "clips": list(found.clip_ids),
        "num_rows": amount.num_rows,
        "num_cached": amount.num_cached,
        "num_texts": amount.num_texts,
        "models": [
            {
                "model": model.version.reference,
                "aliases": list(model.version.aliases),
                "num_train": model.num_train,
                "num_valid": model.num_valid,
                "not_known": model.why or None,
            }
            for model in found.models
        ],
        "registry_error": found.registry_error or None,
        "still_there": list(found.still_there),
        "same_content": list(found.same_content),
        "trainings": [str(path) for path in found.trainings],
        "databases": [str(path) for path in found.databases],
    }
