"""The `emi` command: one function a verb."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from emi_model.loading import loading
from flows.cli_ablate import ablate
from flows.cli_bench import bench
from flows.cli_evaluate import evaluate
from flows.cli_labels import labels
from flows.cli_models import models
from flows.cli_train import recipes, retrain, train
from flows.cli_up import deploy, up
from flows.events import use_running_server
from flows.exits import EXIT_DIFFERS, EXIT_REJECTED, quick_end, run_to_exit, say
from flows.options import (
    json_option,
    model_option,
    named,
    pinned,
    precision_option,
    ray_option,
    wheel_option,
)
from flows.terminal import send_chatter_to, terminal

if TYPE_CHECKING:
    from tasks.query import Format
    from tasks.settings import Coverage

# Libraries are imported within the verbs: `emi --help` must not wait for torch, Ray or Prefect.

_results = click.option(
    "--results",
    required=True,
    metavar="DIR",
    help="Results store: a folder, or s3://BUCKET/NAME; gs:// and az:// likewise.",
)
_coverage = click.option(
    "--coverage",
    type=click.Choice(["first", "full"]),
    default="first",
    show_default=True,
    help="Score the first 12 s of a clip, as the paper does, or every 12 s window of it.",
)
_strict = click.option("--strict", is_flag=True, help="Exit 3 if any clip is rejected.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="emi-workflow", prog_name="emi")
@click.pass_context
def cli(context: click.Context) -> None:
    """Turn a corpus of videos into a table of emotion scores.

    Six scores of Emotional Mimicry Intensity, and arousal, dominance, valence, from the audio of
    each clip. Scores are a model's estimate of how expression is perceived, not of what is felt.
    """
    if context.invoked_subcommand not in (up.name, deploy.name):
        use_running_server()


@cli.command()
@click.argument("source")
@_results
@model_option
@_coverage
@precision_option
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N clips.")
@click.option("--rescore", is_flag=True, help="Score clips again that have a row.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Scoring processes (default: two, or one a GPU; on a cluster as many as have room).",
)
@click.option(
    "--gpus-per-scorer",
    type=click.FloatRange(min=0, min_open=True, max=1),
    metavar="SHARE",
    help="GPUs of each scoring process: by 0.5 two share one (default: 1).",
)
@ray_option
@wheel_option
@_strict
@json_option
def process(
    source: str, results: str, model: str | None, strict: bool, as_json: bool, **options: Any
) -> None:
    """Score every clip of SOURCE that the results store has no row for.

    SOURCE is a folder (searched at any depth), one media file, or a manifest: CSV or Parquet with a
    column uri; on a disk, or as s3://, gs:// or az://. Run it again at any time: it does what is
    missing.
    """
    with loading():
        from emi_model.papers import resolve
        from tasks.corpus import check_source
        from tasks.guard import guard_this_process
        from tasks.results import create_store

    check_source(source)
    _say_what_it_gives(resolve(named(model)))
    store = create_store(results)
    send_chatter_to(store.logs / f"process-{os.getpid()}.log")
    guard_this_process()

    from flows.early import temporary_server

    server = temporary_server()
    with loading():
        from flows.display import ProgressBar, run_summary
        from flows.process import process_corpus
        from flows.progress import observed_by

    if server is not None:
        server.join()
    with ProgressBar(terminal().err) as bar, observed_by(bar):
        record = process_corpus(source, results, pinned(model), **options)
    if as_json:
        _write_json([record], terminal().out)
    else:
        click.echo(run_summary(record, results), file=terminal().out)
    if strict and record["num_rejected"]:
        sys.exit(EXIT_REJECTED)


@cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@model_option
@_coverage
@precision_option
@click.option("--raw", is_flag=True, help="Leave EMI scores as the model gives them, unclipped.")
@_strict
@json_option
def score(
    files: Sequence[str],
    model: str | None,
    coverage: Coverage,
    strict: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Score a few clips at once and print them."""
    with loading():
        from emi_model.papers import resolve
        from flows.display import score_table, show
        from flows.score import score_files

    reference = named(model)
    _say_what_it_gives(resolve(reference))
    rows, targets = score_files(files, reference, coverage=coverage, **options)
    if as_json:
        _write_json(rows, sys.stdout)
    else:
        show(score_table(rows, targets), sys.stdout)
    if strict and any(row["reason"] for row in rows):
        sys.exit(EXIT_REJECTED)


@cli.command()
@click.argument("sql")
@_results
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="json: one object a line; parquet goes to stdout.",
)
def query(sql: str, results: str, wanted: Format) -> None:
    """Answer one SELECT over a store's views: scores, rejections, labels, runs and others.

    `SHOW TABLES` lists them, `DESCRIBE scores` lists the columns of one.
    """
    from tasks.query import answer, write

    write(answer(results, sql), wanted)


@cli.command()
@_results
@json_option
def status(results: str, as_json: bool) -> None:
    """Say what a results store holds."""
    from tasks.query import answer, stored_question, write
    from tasks.results import create_store, open_store

    open_store(results)
    create_store(results)  # writes catalog.sql anew, for a store that was moved
    for question in ("status",) if as_json else ("status", "latest_runs"):
        write(answer(results, stored_question(question)), "json" if as_json else "table")


@cli.command()
@click.option(
    "--dir",
    "folder",
    default="demo",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for corpus, model and results.",
)
def demo(folder: Path) -> None:
    """Write a small corpus, train a small model on part of it, score the rest.

    Voices are synthetic, nothing is downloaded. An earlier demo in the folder is carried on.
    """
    from tasks.guard import guard_this_process

    folder.mkdir(parents=True, exist_ok=True)
    send_chatter_to(folder / "demo.log")
    guard_this_process()

    from flows.demo import run_demo
    from flows.display import ProgressBar, show_demo
    from flows.progress import observed_by

    with ProgressBar(terminal().err) as bar, observed_by(bar):
        report = run_demo(folder)
    show_demo(report, folder, terminal().out)


@cli.command("import-checkpoint")
@click.argument("authors", type=click.Path(path_type=Path), metavar="AUTHORS.pth")
@click.option(
    "--backbone",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder whose config.json describes the backbone.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="New model folder."
)
@click.option("--licence", help="Licence of the backbone (default: what its folder says).")
def import_checkpoint(authors: Path, backbone: Path, out: Path, licence: str | None) -> None:
    """Convert the state dict that the paper's code saves to a model folder."""
    from emi_model.checkpoint import save_checkpoint
    from emi_model.layouts import load_authors_model

    model, card = load_authors_model(authors, backbone, licence)
    save_checkpoint(out, model, card)
    click.echo(f"{out}: {len(card.targets)} targets, backbone licence {card.backbone_licence}")


@cli.command("check-backbone")
@click.argument("reference", metavar="REF")
def check_backbone(reference: str) -> None:
    """Run the public VAD model's zero-signal reference: one second of zeros."""
    from emi_model.reference import check_backbone as check
    from emi_model.targets import VAD_DIMENSIONS
    from flows.display import plain_table, show
    from tasks.registry import resolve_model

    found = check(resolve_model(reference))
    rows = zip(VAD_DIMENSIONS, found.expected, found.found, strict=True)
    show(plain_table(["dimension", "expected", "found"], rows), sys.stdout)
    click.echo("agrees within 0.001" if found.passed else "differs by more than 0.001")
    if not found.passed:
        sys.exit(EXIT_DIFFERS)


for _verb in (labels, train, evaluate, ablate, retrain, models, recipes, up, deploy, bench):
    cli.add_command(_verb)


def main() -> None:
    """Run the command and turn what ends it into one line and an exit code."""
    with quick_end():
        run_to_exit(cli)


def _say_what_it_gives(folder: Path) -> None:
    """Say once that a model in the public VAD model's layout has no EMI scores."""
    from emi_model.papers import is_ours

    if not is_ours(folder):
        say("this model gives arousal, dominance, valence alone: EMI scores will be null")


def _write_json(rows: Sequence[Mapping[str, Any]], out: TextIO) -> None:
    from tasks.query import write_json_lines

    write_json_lines(rows, out)
