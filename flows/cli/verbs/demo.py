"""`emi demo`: the whole workflow on a small made corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.display.terminal import send_chatter_to, terminal

if TYPE_CHECKING:
    pass


@click.command()
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
    from tasks.processes.guard import guard_this_process

    folder.mkdir(parents=True, exist_ok=True)
    send_chatter_to(folder / "demo.log")
    guard_this_process()

    from flows.demo import run_demo
    from flows.display.demo import show_demo
    from flows.display.tables import ProgressBar
    from tasks.progress import observed_by

    with ProgressBar(terminal().err) as bar, observed_by(bar):
        report = run_demo(folder)
    show_demo(report, folder, terminal().out)
