"""The page of `emi browse` in a real browser: every control is used, numbers are those of SQL."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import uvicorn

from tasks.browsing.application import Opened, browsing_application
from tasks.browsing.guard import TOKEN, Guard, new_token
from tasks.corpus.clips import hash_content
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.processes.prefect_server import free_port
from tasks.schema.fields import checked
from tasks.schema.scores import scores_schema
from tasks.schema.tables import SCORES
from tasks.store.query import answer
from tests.pages.browser import Check, Tab
from tests.reported import clip_name, write_store, write_transcript

NUM_CLIPS = 600
SECONDS = 7
HOSTILE = "<img src=x onerror=document.title='broken'>.mp4"
START_SECONDS = 30.0


def film(path: Path) -> None:
    """Write a film: a moving picture, a tone that swells."""
    tone = f"aevalsrc=0.4*sin(880*PI*t)*abs(sin(PI*t/2)):duration={SECONDS}"
    picture = f"testsrc=size=320x180:rate=10:duration={SECONDS}"
    command = [find_ffmpeg(), "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", tone]
    command += ["-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", "-f", "webm"]
    subprocess.run([*command, "-c:v", "libvpx", "-c:a", "libopus", str(path)], check=True)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the address of a browsed store of films, and where the store lies."""
    corpus, one = folder / "films", folder / "film.webm"
    film(one)
    store = write_store(folder / "browsed", NUM_CLIPS, content_sha256=hash_content(one))
    for number in range(NUM_CLIPS):
        clip = corpus / clip_name(number)
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.hardlink_to(one)
    (corpus / clip_name(5)).unlink()
    write_transcript(store, clip_name(10), (0.5, 2.5, "what a fine day"), (4, 6, "it really is"))
    schema = scores_schema()
    rows = store.rows(SCORES, schema, ds.field("clip_id") == clip_name(1)).to_pylist()
    hostile = pa.Table.from_pylist([rows[0] | {"clip_id": HOSTILE}], schema)
    store.commit("hostile", {SCORES: checked(hostile, schema)})
    opened, token, port = (
        Opened(store.location, str(corpus)),
        new_token(),
        free_port("127.0.0.1", 0),
    )
    application = Guard(browsing_application(opened), token, port)
    config = uvicorn.Config(application, port=port, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    running = threading.Thread(target=server.run)
    running.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/?{TOKEN}={token}", store.location
    finally:
        server.should_exit = True
        running.join()
        opened.close()


def browse_checks(tab: Tab, address: str, location: str, out: Path) -> Iterator[Check]:
    """Yield what was checked, whether it holds, and what was found."""
    home = address.partition("?")[0]
    tab.show(address, 1280, dark=False)
    tab.until("location.search === '' && document.querySelector('h1')?.textContent === 'Clips'")
    yield "the token leaves the address", TOKEN not in tab.value("location.href"), home
    cookie = tab.value("document.cookie")
    yield "scripts do not see the cookie", cookie == "", repr(cookie)
    yield from _list(tab, home, location)
    yield from _hostile(tab, home)
    yield from _clip(tab, home)
    yield from _odd_clips(tab, home)
    yield from _looks(tab, home, out)
    requested = tab.requested()
    outside = [url for url in requested if not url.startswith((home, "data:", "blob:", "file:"))]
    yield "requests to others", outside == [] and len(requested) > 20, str(outside)
    complaints = [one for one in tab.complaints() if "400 (Bad Request)" not in one]
    yield "console", complaints == [], str(complaints)


def _count(location: str, sql: str) -> int:
    return int(answer(location, f"SELECT count(*) AS n {sql}")["n"][0].as_py())


def _list(tab: Tab, home: str, location: str) -> Iterator[Check]:
    number = _count(location, "FROM rejections")
    tab.click("a[href='/?status=rejected']")
    found = tab.value("document.getElementById('count').textContent")
    yield "a facet narrows", found == f"1 to {number} of {number}", found
    tab.click("thead a[href*='sort=-duration_seconds']")
    way = tab.value("document.querySelector('[aria-sort]').getAttribute('aria-sort')")
    yield "a heading sorts", way == "descending", way
    state = tab.value("location.search")
    tab.click("#reset")
    tab.go_back()
    tab.until(f"location.search === {state!r}")
    again = tab.value("document.getElementById('count').textContent")
    yield "back shows what was there", again == found, again
    tab.show(home + state, 1280, dark=False)
    again = tab.value("document.getElementById('count').textContent")
    yield "the address holds the state", again == found, home + state
    tab.click("#reset")
    tab.value("document.querySelector('.sql').open = true")
    tab.type_into("#sql", "joy > 0.6 AND valence > 0.5")
    tab.press("Enter", ctrl=True)
    tab.until("location.search.includes('sql=')")
    number = _count(location, "FROM scores WHERE joy > 0.6 AND valence > 0.5")
    found = tab.value("document.getElementById('count').textContent")
    yield "SQL narrows", found.endswith(f" of {number}"), found
    leftover = tab.value("location.search")
    yield "an empty field leaves no trace", "q=" not in leftover, leftover
    tab.show(home + "?sql=SELEC+1", 1280, dark=False)
    found = tab.value("document.querySelector('[role=alert]').textContent")
    yield "wrong SQL is a line", "syntax error" in found, found
    tab.show(home, 1280, dark=False)
    tab.press("/")
    tab.type_into(":focus", "clip000000")
    tab.press("Enter")
    tab.until("location.search.includes('q=')")
    number = _count(location, "FROM scores WHERE clip_id LIKE '%clip000000%'")
    found = tab.value("document.getElementById('count').textContent")
    yield "the slash leads to the search", found == f"1 to {number} of {number}", found
    tab.click("#reset")
    tab.press("n")
    tab.until("location.search === '?page=2'")
    found = tab.value("document.getElementById('count').textContent")
    yield "n leads to the next page", found.startswith("51 to 100 of "), found
    tab.click("#refresh")
    tab.until("document.readyState === 'complete' && location.pathname === '/'")
    found = tab.value("location.search")
    yield "refresh keeps the state", found == "?page=2", found


def _hostile(tab: Tab, home: str) -> Iterator[Check]:
    tab.show(f"{home}?q=onerror", 1280, dark=False)
    name = tab.value("document.querySelector('tbody a').textContent")
    images = tab.value("document.images.length")
    yield "a hostile name is text", (name, images) == (HOSTILE, 0), name
    tab.click("tbody a")
    found = tab.value("[document.querySelector('h1').textContent, document.images.length]")
    yield "on its own page, too", found == [HOSTILE, 0], str(found)


def _clip(tab: Tab, home: str) -> Iterator[Check]:
    tab.show(f"{home}clip?clip={clip_name(10)}", 1280, dark=False)
    tab.until("document.querySelector('#wave').dataset.drawn === 'yes'")
    yield "the wave is drawn", True, "by wavesurfer.js"
    tab.until("document.querySelector('video').readyState >= 2")
    found = tab.value(_PLAYED)
    yield "the film plays", found["at"] > 0.3 and found["width"] == 320, str(found)
    moved = abs(found["head"] - found["at"]) < 0.5 and found["head"] > 0.3
    yield "the cursor moves along", moved, str(found)
    tab.click("#transcript button:nth-child(5)")
    found = tab.value(_STATE)
    same = found["media"] == found["head"] == found["slider"] == 4 and found["word"] == "it"
    yield "a click on a word seeks", same, str(found)
    tab.click("#timeline .u-over")
    found = tab.value(_STATE)
    middle = abs(found["media"] - SECONDS / 2) < 0.3 and abs(found["head"] - SECONDS / 2) < 0.3
    yield "a click on the timeline seeks", middle, str(found)
    tab.click("#wave")
    found = tab.value(_STATE)
    yield "a click on the wave seeks", abs(found["media"] - SECONDS / 2) < 0.4, str(found)
    tab.value("document.activeElement.blur()")
    tab.press("ArrowRight")
    later = tab.value(_STATE)
    step = later["media"] - found["media"]
    yield "an arrow goes on a second", abs(step - 1) < 0.1, f"{step:.2f} s"
    tab.value(
        "(() => { const s = document.getElementById('second'); s.value = 1.5;"
        "s.dispatchEvent(new Event('input')); })()"
    )
    found = tab.value(_STATE)
    yield "the slider seeks", (found["media"], found["head"]) == (1.5, 1.5), str(found)
    spoken = tab.value("document.getElementById('moment').textContent")
    yield "values in words", spoken.startswith("1.5 s: arousal 0."), spoken
    tab.press(" ")
    tab.until("!document.querySelector('video').paused")
    tab.press(" ")
    tab.until("document.querySelector('video').paused")
    yield "space plays and pauses", True, ""


def _odd_clips(tab: Tab, home: str) -> Iterator[Check]:
    tab.show(f"{home}clip?clip={clip_name(5)}", 1280, dark=False)
    found = tab.value("document.getElementById('no-media').textContent")
    yield "a file that is gone", found.startswith("The file is not in the corpus"), found
    tab.value("document.activeElement.blur()")
    tab.press("ArrowRight")
    head = tab.value("document.querySelector('.playhead').dataset.at")
    yield "its timeline moves all the same", head == "1.00", head
    tab.show(f"{home}?status=rejected", 1280, dark=False)
    tab.click("tbody a")
    told = tab.value("document.querySelector('.wrong').textContent")
    yield (
        "a rejection in plain words",
        "The " in told and "emi process" in told,
        told.split("\n")[1],
    )
    tab.click("[data-copy]")
    tab.until("document.querySelector('[data-copy]').textContent !== 'Copy'")
    said = tab.value("document.querySelector('[data-copy]').textContent")
    yield "the command is copied", said.startswith(("Copied", "Selected")), said
    first = tab.value("document.querySelector('h1').textContent")
    tab.press("n")
    loaded = "document.readyState === 'complete' && document.querySelector('h1').textContent"
    tab.until(f"{loaded} !== {first!r}")
    tab.press("p")
    tab.until(f"{loaded} === {first!r}")
    tab.press("l")
    tab.until("location.search === '?status=rejected'")
    yield "n, p and l lead through the list", True, ""


def _looks(tab: Tab, home: str, out: Path) -> Iterator[Check]:
    for kind, path in (("list", "?sort=-joy"), ("clip", f"clip?clip={clip_name(10)}")):
        for width in (1280, 390):
            for dark in (False, True):
                tab.show(home + path, width, dark=dark)
                if kind == "clip":
                    tab.until("document.querySelector('#wave').dataset.drawn === 'yes'")
                    tab.value("document.querySelector('#transcript button:nth-child(5)').click()")
                name = f"browse-{kind}-{width}-{'dark' if dark else 'light'}"
                wide = tab.value("document.documentElement.scrollWidth")
                yield f"{name}: nothing hangs over", wide <= width, f"{wide} pixels"
                tab.value("document.querySelector('.store span').textContent = 'of results'")
                tab.picture(out / f"{name}.png")


_PLAYED = """
(async () => {
    const video = document.querySelector('video');
    await video.play();
    const far = () => video.currentTime > 0.8 || video.ended;
    for (let wait = 0; wait < 400 && !far(); wait += 1) await new Promise(r => setTimeout(r, 50));
    video.pause();
    await new Promise(done => setTimeout(done, 200));
    const head = Number(document.querySelector('.playhead').dataset.at);
    return {at: video.currentTime, head: head, width: video.videoWidth};
})()
"""
_STATE = """
(async () => {
    await new Promise(done => setTimeout(done, 300));
    return {
        media: document.querySelector('video').currentTime,
        head: Number(document.querySelector('.playhead').dataset.at),
        slider: Number(document.getElementById('second').value),
        word: document.querySelector('#transcript .now')?.textContent,
    };
})()
"""
