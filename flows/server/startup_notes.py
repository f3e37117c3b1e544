"""Notes that `emi up` prints when it starts: what it will not do by itself, and what will fail."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from emi_model.errors import EmiError, ModelNotFound
from flows.server.deployments import Setup
from tasks.labels.add_labels import describe_snapshots
from tasks.registry.registry import find
from tasks.registry.version import CHAMPION, MODEL_SCHEME
from tasks.store.query import answer


def start_notes(setup: Setup) -> Iterator[str]:
    """Yield a line for each thing that no event will start, or that will fail.

    If the registry or the store cannot be read, the error is the last note.
    """
    try:
        yield from _no_champion(setup)
        yield from _undecided(setup)
    except EmiError as error:
        yield f"note: {error}"


def scorer_line(setup: Setup, named_by: str) -> str:
    """Return which model scores, in one line.

    Args:
        setup: of the site.
        named_by: what named the model, if one was named: ``EMI_MODEL`` or ``--model``.
    """
    if setup.model:
        return (
            f"scans score with {setup.model}, as {named_by} says, whatever is promoted later; "
            "without it the champion scores"
        )
    try:
        number = f"now version {find(setup.champion).number}"
    except EmiError:
        number = "there is none yet"
    return f"scans score with the champion, {setup.champion} ({number})"


def _no_champion(setup: Setup) -> Iterator[str]:
    reference = setup.model or setup.champion
    if not reference.startswith(MODEL_SCHEME):
        return
    try:
        find(reference)
    except ModelNotFound as error:
        yield f"note: scans fail until there is such a model: {error}"


def _undecided(setup: Setup) -> Iterator[str]:
    snapshots = describe_snapshots(setup.labels)
    if not snapshots:
        return
    latest = snapshots[-1]
    decided = answer(setup.labels, "SELECT DISTINCT snapshot FROM decisions").to_pylist()
    if latest["snapshot"] in {row["snapshot"] for row in decided}:
        return
    try:
        if find(CHAMPION, setup.name).tags.get("snapshot") == latest["snapshot"]:
            return
    except ModelNotFound:
        pass
    command = ["emi", "retrain", "--labels", setup.labels, "--corpus", setup.corpus]
    command += ["--name", setup.name]
    yield (
        f"note: label snapshot {latest['number']} led to no decision yet: start retrain/on-labels "
        f"in the UI, or {shlex.join(command)}"
    )
