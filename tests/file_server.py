"""A server that speaks as much of MLflow's protocol for files as its client needs."""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PREFIX = "/api/2.0/mlflow-artifacts/artifacts"


class FileServer(ThreadingHTTPServer):
    """Serves files below a folder on this machine, while it is entered.

    Attributes:
        root: the folder.
        uri: of the folder.
        fetched: names of the files that were asked for.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.uri = f"http://127.0.0.1:{self.server_port}{PREFIX}"
        self.fetched: list[str] = []
        self._thread = threading.Thread(target=partial(self.serve_forever, poll_interval=0.01))

    def __enter__(self) -> FileServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self._thread.join()
        super().__exit__(*error)


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        wanted = parse_qs(parts.query).get("path")
        path = self.server.root / (wanted[0] if wanted else _below(parts.path))
        if not path.exists():
            self.send_error(404)
        elif wanted:
            inside = path.iterdir() if path.is_dir() else ()
            self._answer(json.dumps({"files": [_described(file) for file in inside]}))
        else:
            self.server.fetched.append(path.name)
            self._answer(path.read_bytes())

    def do_PUT(self) -> None:
        path = self.server.root / _below(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer("{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, content: str | bytes) -> None:
        content = content.encode() if isinstance(content, str) else content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _below(path: str) -> str:
    return unquote(path).removeprefix(PREFIX).lstrip("/")


def _described(file: Path) -> dict[str, Any]:
    return {"path": file.name, "is_dir": file.is_dir(), "file_size": file.stat().st_size}
