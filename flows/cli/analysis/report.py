"""`emi report`: one HTML page about a results store, that opens anywhere, offline."""

from __future__ import annotations

import time

import click

from emi_model.loading import without_gc
from flows.cli.options import LOCATION, json_option, results_option
from flows.cli.run import write_json
from flows.display.terminal import terminal
from flows.display.text import say

PLAYERS_WITH_CORPUS = 1
"""Players of each emotion where a corpus is given and no number."""


@click.command()
@results_option
@click.option(
    "--out",
    type=LOCATION,
    default="report.html",
    show_default=True,
    metavar="FILE",
    help="Where to write the page: a file, or s3://BUCKET/NAME.html.",
)
@click.option(
    "--corpus",
    type=LOCATION,
    metavar="DIR",
    help="Folder, s3://... or manifest of the clips: short players of the leaders' voices come "
    "into the page.",
)
@click.option(
    "--players",
    type=click.IntRange(min=0),
    metavar="N",
    help="Players of each emotion, at most 5; 0 leaves voices out (default: 0, with --corpus "
    f"{PLAYERS_WITH_CORPUS}).",
)
@click.option(
    "--by",
    metavar="COLUMN",
    help="Column of the view clips that makes the groups, as condition or folder (default: the "
    "first of your metadata with 2 to 6 values, else the folder).",
)
@click.option("--title", metavar="TEXT", help="Title of the page (default: the store's name).")
@json_option
def report(
    results: str,
    out: str,
    corpus: str | None,
    players: int | None,
    by: str | None,
    title: str | None,
    as_json: bool,
) -> None:
    """Write one HTML page about a store: distributions, correlations, groups, quality, models.

    The page needs no network and no other file. It is made of aggregates: single clips stand in it
    only as the highest of each emotion, with names, timelines and, if asked for, voices. So look at
    it before you pass it on.

    Example: emi report --results results --corpus ~/my-videos --by condition --out study.html
    """
    with without_gc():
        from flows.display.tables import ProgressBar
        from tasks.progress import observed_by
        from tasks.reports.report import check_report_file, make_report, write_report

    if players and corpus is None:
        raise click.UsageError(f"--players {players} needs --corpus DIR, the folder of the clips")
    check_report_file(out)
    if players is None:
        players = PLAYERS_WITH_CORPUS if corpus is not None else 0
    began = time.monotonic()
    with ProgressBar(terminal().err) as bar, observed_by(bar):
        made = make_report(results, title=title, corpus=corpus, num_players=players, by=by)
    size = write_report(made, out)
    seconds = time.monotonic() - began
    if as_json:
        facts = {"report": out, "clips": made.num_clips, "bytes": size, "seconds": seconds}
        write_json([facts | {"missing": list(made.missing)}])
        return
    for sentence in made.missing:
        say(f"not in it: {sentence}", terminal().out)
    say(f"{out}: {made.num_clips:,} clips, {size / 1e6:.2f} MB, in {seconds:.1f} s", terminal().out)
