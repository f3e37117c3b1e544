"""A headless Chromium, driven over its DevTools protocol: no driver, no download."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 60.0
ANSWER_SECONDS = 60.0

Answer = dict[str, Any]
Check = tuple[str, bool, str]
"""What was checked, whether it holds, and what was found."""

_MIDDLE = """
(() => {{
    const one = document.querySelector({selector});
    one.scrollIntoView({{block: 'center'}});
    const box = one.getClientRects()[0];  // of a link that goes over several lines, the first
    return {{x: box.left + box.width / 2, y: box.top + box.height / 2}};
}})()
"""
_IS_LINK = "document.querySelector({selector})?.tagName === 'A' || window.before !== true"


class Tab:
    """A page of the browser.

    Attributes:
        events: what the browser reported: console lines, requests, log entries.
    """

    def __init__(self, address: str) -> None:
        self._socket = connect(address, max_size=None, open_timeout=START_SECONDS)
        self._number = 0
        self.events: list[Answer] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> Answer:
        """Return the answer to a command; what is reported meanwhile goes to `events`."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv(timeout=ANSWER_SECONDS))
            if told.get("id") == self._number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                return dict(told["result"])
            self.events.append(told)

    def show(self, place: Path | str, width: int, *, dark: bool) -> None:
        """Open a file or an address at a width, in light or dark."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        url = place if isinstance(place, str) else place.absolute().as_uri()
        self.ask("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def until(self, expression: str) -> None:
        """Wait until an expression of JavaScript is true; the page may change meanwhile.

        Raises:
            TimeoutError: it does not become true.
        """
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(RuntimeError):  # of a page that is left
                if self.value(expression):
                    return
            if time.monotonic() > deadline:
                raise TimeoutError(f"not true: {expression}")
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Click in the middle of an element as a mouse does, and wait for what it leads to."""
        self.value("window.before = true")
        place = self.value(_MIDDLE.format(selector=json.dumps(selector)))
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, **place, button="left", clickCount=1)
        if self.value(_IS_LINK.format(selector=json.dumps(selector))):
            self.until("window.before !== true && document.readyState === 'complete'")

    def type_into(self, selector: str, text: str) -> None:
        """Focus a field, empty it, and type a text into it."""
        self.value(f"document.querySelector({json.dumps(selector)}).select()")
        self.ask("Input.insertText", text=text)

    def go_back(self) -> None:
        """Go one page back."""
        history = self.ask("Page.getNavigationHistory")
        entry = history["entries"][history["currentIndex"] - 1]
        self.ask("Page.navigateToHistoryEntry", entryId=entry["id"])

    def value(self, expression: str) -> Any:
        """Return what an expression of JavaScript is in the page, promises awaited."""
        found = self.ask(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def press(self, key: str, *, ctrl: bool = False) -> None:
        """Press a key: Tab, Enter, an arrow, or a letter."""
        code = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowRight": 39}.get(key, ord(key[0]))
        text = {"text": "\r" if key == "Enter" else key} if key == "Enter" or len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                modifiers=2 if ctrl else 0,
                **(text if kind == "keyDown" else {}),
            )

    def picture(self, path: Path) -> None:
        """Write a picture of the whole page."""
        found = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def requested(self) -> list[str]:
        """Return the addresses of all requests so far."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """Return errors and warnings of the console and of the browser's log so far."""
        found = []
        for event in self.events:
            told = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(str(told["exceptionDetails"]))
            elif event.get("method") == "Runtime.consoleAPICalled" and told["type"] != "log":
                found.append(str(told["args"]))
            elif event.get("method") == "Log.entryAdded":
                found.append(f"{told['entry']['level']}: {told['entry']['text']}")
        return found


@contextmanager
def chromium(folder: Path) -> Iterator[Tab]:
    """Yield a tab of a headless Chromium with a profile of its own in a folder.

    Raises:
        FileNotFoundError: there is none.
    """
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        raise FileNotFoundError("no chromium: `apt-get install chromium` brings one")
    profile = folder / "profile"
    port = profile / "DevToolsActivePort"
    arguments = ["--headless", "--disable-gpu", "--no-sandbox", "--hide-scrollbars", "--mute-audio"]
    arguments += ["--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0"]
    with subprocess.Popen(
        [program, *arguments, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not (port.exists() and len(port.read_text().splitlines()) == 2):
                if time.monotonic() > deadline or running.poll() is not None:
                    raise TimeoutError("chromium does not start")
                time.sleep(0.1)
            number, browser = port.read_text().splitlines()
            yield Tab(_first_page(f"ws://127.0.0.1:{number}{browser}", number))
        finally:
            running.terminate()


def _first_page(browser: str, number: str) -> str:
    with connect(browser, open_timeout=START_SECONDS) as socket:
        socket.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
        while True:
            told = json.loads(socket.recv(timeout=ANSWER_SECONDS))
            if told.get("id") == 1:
                break
    targets = told["result"]["targetInfos"]
    page = next(one["targetId"] for one in targets if one["type"] == "page")
    return f"ws://127.0.0.1:{number}/devtools/page/{page}"
