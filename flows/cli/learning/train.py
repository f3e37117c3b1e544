"""`emi train`, `emi retrain`: labels become a model."""

from __future__ import annotations

import sys
from typing import Any

import click

from flows.cli.options import (
    LOCATION,
    corpus_option,
    json_option,
    labels_option,
    name_option,
    ray_option,
    recipe_option,
    snapshot_option,
    wheel_option,
)
from flows.cli.run import log_verb_to, progress_bar, write_json
from flows.display.terminal import terminal

_backbone = click.option(
    "--backbone",
    type=LOCATION,
    metavar="REF",
    help="Model folder or hub id to start from, in place of the recipe's own.",
)
_workers = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that train together (default: one, or one a GPU of one machine).",
)


@click.command()
@labels_option
@corpus_option
@recipe_option
@name_option
@snapshot_option
@_backbone
@_workers
@ray_option
@wheel_option
@json_option
def train(labels: str, as_json: bool, **options: Any) -> None:
    """Train a model on labelled clips and register it as a new version.

    The split `train` teaches; `valid` chooses the epoch, measures and calibrates. A training that
    was stopped goes on where it was; one that is done is not done again.
    """
    _prepare(labels, "train")

    from flows.display.training import show_training
    from flows.train import train_model

    with progress_bar():
        found = train_model(labels, **options)
    if as_json:
        write_json([found])
    else:
        show_training(found, terminal().out)


@click.command()
@labels_option
@corpus_option
@click.option("--recipe", metavar="NAME", help="Recipe (default: that of the champion, or paper).")
@name_option
@snapshot_option
@click.option(
    "--start",
    type=click.Choice(["backbone", "champion"]),
    default="backbone",
    show_default=True,
    help="Begin with the recipe's backbone (or new weights), or with the champion's weights.",
)
@_backbone
@_workers
@click.option(
    "--level",
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Confidence of the bound on the difference.",
)
@click.option(
    "--margin",
    type=click.FloatRange(-2, 2),
    default=0.0,
    show_default=True,
    help="What that bound has to exceed, in mean Pearson.",
)
@click.option(
    "--rescore",
    type=LOCATION,
    metavar="DIR",
    help="If promoted, score the corpus into this results store, beside the old rows.",
)
@ray_option
@wheel_option
@json_option
def retrain(labels: str, as_json: bool, **options: Any) -> None:
    """Train a challenger on all labels; make it champion only if it is better beyond doubt.

    Both are judged on the same clips, which trained neither, by a paired bootstrap over speakers.
    The decision is recorded either way: emi query "SELECT * FROM decisions" --results DIR.
    """
    _prepare(labels, "retrain")

    from flows.display.training import show_decision
    from flows.retrain import retrain_model

    with progress_bar():
        row = retrain_model(labels, **options)
    if as_json:
        write_json([row])
    else:
        show_decision(row, terminal().out)


@click.command()
def recipes() -> None:
    """List the recipes and the variants that a recipe's name can take."""
    from emi_model.training.recipes import RECIPES, VARIANTS
    from flows.display.tables import plain_table, show

    for kind, functions in (("recipe", RECIPES), ("+variant", VARIANTS)):
        rows = [(name, _summary(function)) for name, function in functions.items()]
        show(plain_table([kind, "what it is"], rows), sys.stdout)


def _summary(function: object) -> str:
    """Return the first line of a function's docstring, as a table row: without "Return "."""
    line = (function.__doc__ or "").partition("\n")[0].removeprefix("Return ")
    return line[:1].upper() + line[1:]


def _prepare(labels: str, verb: str) -> None:
    """Open the store, and keep what libraries write from the terminal."""
    from tasks.store.store import open_store

    log_verb_to(open_store(labels).logs, verb)
