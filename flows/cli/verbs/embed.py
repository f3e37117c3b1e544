"""`emi embed`: the vectors that the model's scores are made from."""

from __future__ import annotations

import click

from emi_model.loading import without_gc
from flows.cli.options import LOCATION, coverage_option, model_option, resolve_model_option
from flows.cli.run import progress_bar
from flows.display.text import say


@click.command()
@click.argument("source", type=LOCATION)
@click.option(
    "--results",
    type=LOCATION,
    required=True,
    metavar="DIR",
    help="Folder of the Parquet files, new or of an earlier call; or s3://BUCKET/NAME.",
)
@model_option
@coverage_option
@click.option("--frames", is_flag=True, help="Keep the features of every 20 ms as well (large).")
def embed(source: str, results: str, model: str | None, coverage: str, frames: bool) -> None:
    """Write a vector for each clip of SOURCE: the mean of the features that its scores come from.

    SOURCE is what `emi process` takes. One row a clip, in Parquet: clip_id, vector, and reason
    where a clip was rejected. Run it again at any time: it does what is missing.
    """
    with without_gc():
        from tasks.embedding.embed import embed_corpus

    with progress_bar():
        done = embed_corpus(
            source, results, resolve_model_option(model), full=coverage == "full", frames=frames
        )
    num_rejected = sum(done.reasons.values())
    say(
        f"{done.num_embedded} clips embedded, {num_rejected} rejected, {done.num_skipped} skipped "
        f"(done before): {done.size} values a clip"
    )
    for reason, count in sorted(done.reasons.items()):
        say(f"  rejected, {reason}: {count}")
    say(f"in {results}")
