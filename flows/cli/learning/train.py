"""`emi train`, `emi retrain`: labels become a model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from flows.cli.options import (
    LOCATION,
    asr_option,
    corpus_option,
    features_option,
    json_option,
    labels_option,
    language_option,
    name_option,
    ray_option,
    recipe_option,
    snapshot_option,
    wheel_option,
)
from flows.cli.run import log_verb_to, progress_bar, write_json
from flows.display.terminal import terminal
from flows.display.text import say

_backbone = click.option(
    "--backbone",
    type=LOCATION,
    metavar="REF",
    help="Model folder or hub id to start from, in place of the recipe's own.",
)
_text_encoder = click.option(
    "--text-encoder",
    type=LOCATION,
    metavar="REF",
    help="Encoder of transcripts: folder or hub id. Adds the branch if the recipe has none.",
)
_vision_encoder = click.option(
    "--vision-encoder",
    type=LOCATION,
    metavar="REF",
    help="Encoder of faces: folder, hub id, or an .hdf5 file of Keras. Adds the branch likewise.",
)


def encoder_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: options ``--text-encoder`` and ``--vision-encoder``."""
    return _text_encoder(_vision_encoder(command))


settings_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any other setting of the recipe (`emi recipes NAME` lists them); may be repeated.",
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
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the training.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training clips.")
@click.option(
    "--learning-rate", type=click.FloatRange(min=0, min_open=True), help="Its highest value."
)
@settings_option
@_backbone
@_text_encoder
@_vision_encoder
@_workers
@features_option
@asr_option
@language_option
@ray_option
@wheel_option
@json_option
def train(
    labels: str,
    as_json: bool,
    recipe: str,
    settings: tuple[str, ...],
    seed: int | None,
    epochs: int | None,
    learning_rate: float | None,
    text_encoder: str | None,
    vision_encoder: str | None,
    **options: Any,
) -> None:
    """Train a model on labelled clips and register it as a new version.

    The split `train` teaches; `valid` chooses the epoch, measures and calibrates. A training that
    was stopped goes on where it was; one that is done is not done again.
    """
    from tasks.training.recipe_names import chosen_recipe, encoder_settings, name_with

    named = {"seed": seed, "epochs": epochs, "learning_rate": learning_rate}
    encoders = encoder_settings(text_encoder, vision_encoder)
    recipe = name_with(recipe, {**named, **encoders, **dict(map(settings_pairs, settings))})
    chosen_recipe(recipe)
    _prepare(labels, "train")

    from flows.display.training import show_training
    from flows.train import train_model

    with progress_bar():
        found = train_model(labels, recipe=recipe, **options)
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
@_text_encoder
@_vision_encoder
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
@features_option
@asr_option
@language_option
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
@click.argument("name", required=False)
def recipes(name: str | None) -> None:
    """List the recipes and the variants that a recipe's name can take; of NAME every setting.

    NAME is as --recipe takes it: paper, paper_small+ccc, my.py:mine. Each setting can be changed by
    `emi train --set KEY=VALUE`.
    """
    from emi_model.training.recipes import RECIPES, VARIANTS
    from flows.display.tables import plain_table, show

    if name is not None:
        _show_settings(name)
        return
    for kind, functions in (("recipe", RECIPES), ("+variant", VARIANTS)):
        rows = [(name, _summary(function)) for name, function in functions.items()]
        show(plain_table([kind, "what it is"], rows), sys.stdout)


def _show_settings(name: str) -> None:
    from flows.display.tables import plain_table, show
    from tasks.training.recipe_names import chosen_recipe
    from tasks.training.recipe_settings import settings_of

    recipe = chosen_recipe(name)
    rows = [(key, _setting_text(value)) for key, value in settings_of(recipe).items()]
    show(plain_table(["setting", "value"], rows), sys.stdout)
    say(f"starts from: {recipe.backbone or 'new weights'}")


def _setting_text(value: object) -> str:
    """Return a value as --set takes it."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def settings_pairs(text: str) -> tuple[str, str]:
    """Return key and value of KEY=VALUE."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise click.UsageError(f"found --set {text!r}, expected KEY=VALUE")
    return key.strip(), value.strip()


def _summary(function: object) -> str:
    """Return the first line of a function's docstring, as a table row: without "Return "."""
    line = (function.__doc__ or "").partition("\n")[0].removeprefix("Return ")
    return line[:1].upper() + line[1:]


def _prepare(labels: str, verb: str) -> None:
    """Open the store, and keep what libraries write from the terminal."""
    from tasks.store.store import open_store

    log_verb_to(open_store(labels).logs, verb)
