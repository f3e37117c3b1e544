"""A headless Chromium, driven over its DevTools protocol: no driver, no download."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 60.0
ANSWER_SECONDS = 60.0

Answer = dict[str, Any]


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

    def show(self, path: Path, width: int, *, dark: bool) -> None:
        """Open a file at a width, in light or dark."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=path.absolute().as_uri())
        deadline = time.monotonic() + START_SECONDS
        while self.value("document.readyState") != "complete":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} does not load")
            time.sleep(0.1)

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

    def press(self, key: str) -> None:
        """Press a key: Tab or Enter."""
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
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
