"""`emi demo`: the whole workflow on a small synthetic corpus."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.options import LOCAL_PATH
from flows.cli.run import log_to, progress_bar
from flows.display.terminal import terminal


@click.command()
@click.option(
    "--dir",
    "folder",
    default="demo",
    show_default=True,
    type=LOCAL_PATH,
    metavar="DIR",
    help="Folder for corpus, model and results.",
)
def demo(folder: Path) -> None:
    """Write a small corpus, train a small model on part of it, score the rest.

    Voices are synthetic, nothing is downloaded. An earlier demo in the folder is continued.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log_to(folder / "demo.log")

    from flows.demo import run_demo
    from flows.display.demo import show_demo

    with progress_bar():
        report = run_demo(folder)
    show_demo(report, folder, terminal().out)
