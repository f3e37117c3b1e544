"""`emi browse`: the live store as a page in the browser of this machine."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import closing
from functools import partial

import click

from emi_model.loading import without_gc
from flows.cli.options import LOCATION, json_option, results_option
from flows.cli.run import write_json
from flows.display.terminal import message, terminal
from flows.display.text import say

DEFAULT_PORT = 4300
NO_BROWSER = "no browser found on this machine: open the address by hand"


@click.command()
@results_option
@click.option(
    "--corpus",
    type=LOCATION,
    metavar="DIR",
    help="Folder, s3://... or manifest of the clips that are played (default: where the store says "
    "that they lie).",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="0: any free.",
)
@click.option(
    "--open/--no-open",
    "opens",
    default=None,
    help="Open the page in a browser (default: yes, but with --json no).",
)
@json_option
def browse(results: str, corpus: str | None, port: int, opens: bool | None, as_json: bool) -> None:
    """Look through a store, and listen: filter by clicks or SQL, sort, play clips.

    Serves a page to this machine alone, until Ctrl-C, which ends it with exit code 0. Nothing is
    written, and no request leaves the machine. The address holds a token: whoever has it, on this
    machine, sees the results.

    Example: emi browse --results results --corpus ~/my-videos
    """
    with without_gc():
        from tasks.browsing.application import Opened
        from tasks.browsing.serving import check_port, serve_page
        from tasks.processes import ending

    check_port(port)

    def show(opened: Opened, address: str) -> None:
        snapshot = opened.listing.snapshot
        if as_json:
            facts = {"address": address, "rows": snapshot.num_rows, "seconds": snapshot.seconds}
            write_json([facts])
        else:
            read = f"{results}: {snapshot.num_rows:,} rows, read in {snapshot.seconds:.1f} s"
            say(f"{read}\n{address}\nCtrl-C ends it.", terminal().out)
        terminal().out.flush()
        if opens if opens is not None else not as_json:
            threading.Thread(target=_open_page, args=(address,), daemon=True).start()

    ending.release()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with closing(Opened(results, corpus)) as opened:
            serve_page(opened, port, partial(show, opened))
    except KeyboardInterrupt:
        message("stopped")


def _open_page(address: str) -> None:
    """Open the page in a browser with windows; one of the terminal would take this one over."""
    import webbrowser

    has_windows = sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    try:
        found = has_windows and webbrowser.open(address)
    except webbrowser.Error:
        found = False
    if not found:
        message(NO_BROWSER)
