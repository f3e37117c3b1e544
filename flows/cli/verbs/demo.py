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
    default=None,
    type=LOCAL_PATH,
    metavar="DIR",
    help="Folder for corpus, model and results (default: demo, or demo-all with all modalities).",
)
@click.option(
    "--modalities",
    type=click.Choice(["audio", "all"]),
    default="audio",
    show_default=True,
    help="What the model takes: sound, or sound, words and faces (extra demo).",
)
def demo(folder: Path | None, modalities: str) -> None:
    """Write a small corpus, train a small model on part of it, score the rest.

    Voices and faces are synthetic, nothing is downloaded. An earlier demo in the folder is
    continued.
    """
    folder = folder or Path("demo" if modalities == "audio" else "demo-all")
    folder.mkdir(parents=True, exist_ok=True)
    log_to(folder / "demo.log")

    from flows.demo import run_demo
    from flows.display.demo import show_demo

    with progress_bar():
        report = run_demo(folder, modalities)
    show_demo(report, folder, terminal().out)
