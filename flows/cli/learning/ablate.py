"""`emi ablate`: how much each part of the model adds."""

from __future__ import annotations

from typing import Any

import click

from flows.cli.learning.grids import report_option, seeds_option, show_grid
from flows.cli.options import (
    LOCATION,
    asr_option,
    corpus_option,
    features_option,
    figures_option,
    json_option,
    language_option,
    other_labels_option,
    ray_option,
    recipe_option,
    snapshot_option,
    stores_of,
    wheel_option,
)
from flows.cli.run import log_verb_to, progress_bar


@click.command()
@other_labels_option
@corpus_option
@recipe_option
@seeds_option("cell")
@click.option(
    "--backbone",
    "backbones",
    multiple=True,
    type=LOCATION,
    metavar="REF",
    help="Another wav2vec2 model as a row of its own, may be repeated: folder or hub id.",
)
@click.option(
    "--start-from",
    type=LOCATION,
    metavar="REF",
    help="Model to start every cell from, in place of the recipe's own backbone.",
)
@figures_option
@report_option("ablation")
@snapshot_option
@features_option
@asr_option
@language_option
@ray_option
@wheel_option
@json_option
def ablate(
    labels: str | None,
    results: str | None,
    out: str | None,
    backbones: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Train a recipe whole and with each part switched off, and compare.

    The rows of the paper's Table 2: global vector, regression head, LSTM, VAD head, and any other
    backbones. Run it again at any time: it does what is missing; more seeds add to it.
    """
    from tasks.extraction.series.given import parse_features
    from tasks.store.store import create_store, open_store
    from tasks.training.gathering import widened_by
    from tasks.training.recipe_names import chosen_recipe

    label_store, results = stores_of(labels, results)
    given = parse_features(options["features"] or ())
    # what is misspelt is refused before a store is made
    widened_by(given, options["corpus"])(chosen_recipe(options["recipe"]))
    open_store(label_store)
    store = create_store(results or label_store)
    log_verb_to(store.logs, "ablate")

    from flows.ablate import ablate as run
    from tasks.ablation.summary import report_table

    with progress_bar():
        found = run(
            label_store,
            results=store.location,
            out=out,
            backbones=list(backbones),
            **options,
        )
    report = found["report"]
    show_grid(
        (("", report.columns(), report.cells()),),
        lambda: report_table(report.ablation, report.summaries).to_pylist(),
        report.notes(),
        found,
        as_json=as_json,
    )
