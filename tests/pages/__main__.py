"""``make pages``: the report and `emi browse` in a real browser, at two widths, light and dark.

    python -m tests.pages [--out FOLDER] [--only report|browse]

Exits with 1 if anything is not as it should be; screenshots go to the folder.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tasks.corpus.clips import hash_content
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.reports.report import make_report, write_report
from tests.pages.browser import Check, Tab, chromium
from tests.pages.served import browse_checks, served
from tests.reported import write_store

NUM_CLIPS = 600
WIDTHS = (1280, 390)


def make_page(folder: Path) -> Path:
    """A report of a generated store whose clips are all one tone, so that its leaders play."""
    corpus = folder / "corpus"
    corpus.mkdir()
    tone = folder / "tone.wav"
    command = [find_ffmpeg(), "-nostdin", "-loglevel", "error", "-f", "lavfi"]
    subprocess.run([*command, "-i", "sine=duration=2", str(tone)], check=True)
    store = write_store(folder / "store", NUM_CLIPS, content_sha256=hash_content(tone))
    for number in range(NUM_CLIPS):
        clip = corpus / f"speaker{number // 40:05d}" / f"clip{number:07d}.mp4"
        clip.parent.mkdir(exist_ok=True)
        clip.hardlink_to(tone)
    page = folder / "report.html"
    write_report(make_report(store.location, corpus=str(corpus), num_players=1), str(page))
    return page


def checks(tab: Tab, page: Path, out: Path) -> Iterator[Check]:
    """Yield what was checked, whether it holds, and what was found."""
    for width in WIDTHS:
        for dark in (False, True):
            tab.show(page, width, dark=dark)
            name = f"{width} pixels, {'dark' if dark else 'light'}"
            wide = tab.value("document.documentElement.scrollWidth")
            yield f"{name}: nothing hangs over", wide <= width, f"{wide} pixels"
            paper = tab.value("getComputedStyle(document.body).backgroundColor")
            yield f"{name}: paper", paper != "rgb(255, 255, 255)" or not dark, paper
            least = tab.value(_SMALLEST_TEXT)
            yield f"{name}: smallest text", least >= 9, f"{least:.1f} pixels"
            tab.picture(out / f"report-{width}-{'dark' if dark else 'light'}.png")
    yield from keyboard(tab, page)
    heard = tab.value(_PLAYED)
    yield "a player plays and seeks", heard["ended"] > 1.5 and heard["length"] > 1.9, str(heard)
    tab.ask("Emulation.setEmulatedMedia", media="print")
    shown = tab.value("getComputedStyle(document.querySelector('nav')).display")
    yield "print leaves the menu out", shown == "none", shown
    outside = [url for url in tab.requested() if not url.startswith(("file:", "data:"))]
    yield "requests to others", outside == [], str(outside)
    yield "console", tab.complaints() == [], str(tab.complaints())


def keyboard(tab: Tab, page: Path) -> Iterator[Check]:
    """Reach links, tables and players by Tab, and open a table by Enter."""
    tab.show(page, WIDTHS[0], dark=False)
    reached = set()
    for _ in range(40):
        tab.press("Tab")
        tag = tab.value("document.activeElement.tagName")
        reached.add(tag)
        if tag == "SUMMARY":
            break
    yield "Tab reaches links and tables", {"A", "DIV", "SUMMARY"} <= reached, str(sorted(reached))
    closed = tab.value("document.querySelectorAll('details[open]').length")
    tab.press("Enter")
    opened = tab.value("document.querySelectorAll('details[open]').length")
    yield "Enter opens the numbers", (closed, opened) == (0, 1), f"{closed}, then {opened}"


_SMALLEST_TEXT = """
Math.min(...[...document.querySelectorAll('svg text')].map(
    one => 11 * one.ownerSVGElement.getBoundingClientRect().width
        / one.ownerSVGElement.viewBox.baseVal.width))
"""
_PLAYED = """
(async () => {
    const player = document.querySelector('audio');
    await player.play();
    const length = player.duration;
    player.currentTime = 1.8;
    await new Promise(done => { player.onended = done; setTimeout(done, 5000); });
    return {length: length, ended: player.currentTime};
})()
"""


def main() -> int:
    """Run all checks."""
    parser = argparse.ArgumentParser(prog="python -m tests.pages", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/pages"), help="of screenshots")
    parser.add_argument("--only", choices=["report", "browse"], help="one of the pages")
    given = parser.parse_args()
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="emi-pages-", ignore_cleanup_errors=True) as made:
        for name, holds, found in _all_checks(Path(made), out, given.only):
            sys.stdout.write(f"{'ok    ' if holds else 'FAILED'} {name}: {found}\n")
            sys.stdout.flush()
            failed += not holds
    return int(failed > 0)


def _all_checks(folder: Path, out: Path, only: str | None) -> Iterator[Check]:
    if only != "browse":
        page = make_page(folder)
        with chromium(folder / "report") as tab:
            yield from checks(tab, page, out)
    if only != "report":
        with served(folder) as (address, location), chromium(folder / "browse") as tab:
            yield from browse_checks(tab, address, location, out)


if __name__ == "__main__":
    sys.exit(main())
