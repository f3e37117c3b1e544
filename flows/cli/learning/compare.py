"""`emi compare`: which fusion, which modalities, which loss, with honest statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from flows.cli.learning.grids import report_option, seeds_option, show_grid
from flows.cli.learning.train import encoder_options, settings_option, settings_pairs
from flows.cli.options import (
    LOCATION,
    Verb,
    asr_option,
    corpus_option,
    features_option,
    figures_option,
    json_option,
    language_option,
    other_labels_option,
    ray_option,
    snapshot_option,
    stores_of,
    wheel_option,
)
from flows.cli.run import log_verb_to, progress_bar


def _axis(option: str, name: str, metavar: str, explained: str) -> Callable[[Verb], Verb]:
    return click.option(option, name, multiple=True, metavar=metavar, help=explained)


@click.command()
@other_labels_option
@corpus_option
@_axis("--recipe", "recipes", "NAME", "Recipe, with variants; may be repeated (default: paper).")
@_axis(
    "--branches",
    "branches",
    "A+B",
    "Modalities of a system, as audio+text, of those of the recipe; may be repeated "
    "(default: all of them).",
)
@_axis(
    "--fusion",
    "fusions",
    "NAME",
    "Fusion, also with arguments, as low_rank:rank=4; may be repeated; all: every one there is "
    "(default: the recipe's).",
)
@_axis("--loss", "losses", "NAME", "Loss; may be repeated (default: the recipe's).")
@seeds_option("system")
@click.option(
    "--reference",
    metavar="NAME",
    help="System to compare the others with (default: the first), or chance.",
)
@click.option(
    "--split",
    type=click.Choice(["valid", "test"]),
    default="valid",
    show_default=True,
    help="Whose clips are measured; they never choose an epoch.",
)
@click.option(
    "--inner-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    metavar="SHARE",
    help="Share of the training clips, by speaker, that choose the epoch.",
)
@click.option(
    "--shuffle-labels",
    is_flag=True,
    help="A control: shuffle the labels of the training; nothing may beat chance.",
)
@settings_option
@click.option(
    "--backbone", type=LOCATION, metavar="REF", help="Model to start from, for all recipes."
)
@encoder_options
@figures_option
@report_option("comparison")
@snapshot_option
@features_option
@asr_option
@language_option
@ray_option
@wheel_option
@json_option
def compare(
    labels: str | None,
    results: str | None,
    recipes: tuple[str, ...],
    branches: tuple[str, ...],
    fusions: tuple[str, ...],
    losses: tuple[str, ...],
    settings: tuple[str, ...],
    text_encoder: str | None,
    vision_encoder: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train recipes x branches x fusions x losses x seeds, and say which is worth its cost.

    All learn from the same clips and the same cached features. The clips that are measured never
    choose an epoch: a part of the training's speakers does. Run it again at any time: it does what
    is missing; more systems or seeds add to it. Answers in SQL: the table `comparisons`.

    \b
    emi compare --results DIR --corpus DIR --recipe demo_all --fusion concat --fusion tensor
    emi compare ... --branches audio --branches audio+text --branches audio+text+vision
    """
    from tasks.comparison.axes import Axes, variants_of
    from tasks.extraction.series.given import parse_features
    from tasks.store.store import create_store, open_store
    from tasks.training.gathering import widened_by
    from tasks.training.recipe_names import encoder_settings

    label_store, results = stores_of(labels, results)
    encoders = {
        name: value
        for name, value in encoder_settings(text_encoder, vision_encoder).items()
        if value
    }
    named = {**encoders, **dict(map(settings_pairs, settings))}
    grid = (recipes or ("paper",), branches, fusions, losses)
    given, corpus = parse_features(options["features"] or ()), options["corpus"]
    # what is misspelt is refused before a store is made
    variants_of(Axes(*grid, dict(named)), widened_by(given, corpus))
    open_store(label_store)
    store = create_store(results or label_store)
    log_verb_to(store.logs, "compare")

    from flows.compare import compare_fusions
    from tasks.schema.registers import register_table
    from tasks.schema.tables import COMPARISONS

    with progress_bar():
        found = compare_fusions(
            label_store,
            recipes=list(grid[0]),
            branches=list(branches),
            fusions=list(fusions),
            losses=list(losses),
            settings=named,
            results=store.location,
            **options,
        )
    report = found["report"]
    show_grid(
        (("", report.columns(), report.cells()), *report.tables()),
        lambda: register_table(COMPARISONS, report.rows).to_pylist(),
        report.notes(),
        found,
        as_json=as_json,
    )
