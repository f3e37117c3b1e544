"""A bucket on loopback that goes wrong on demand, and notes what it was asked for."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

NUMBERS = itertools.count(1)
PAGE = 1000
MODIFIED = "Sat, 21 Nov 2026 08:00:00 GMT"
MODIFIED_NS = 1_795_248_000 * 10**9
LISTED = "2026-11-21T08:00:00.123Z"
"""As some servers say it: a list tells more than a single object does."""


class FaultyBucket(ThreadingHTTPServer):
    """Speaks as much of S3's protocol as reading takes, while it is entered.

    Attributes:
        uri: of the bucket.
        objects: contents by key.
        faults: status and error code by key; of the empty key: of lists.
        listed_sizes: what a list and a status say of a key in place of its size.
        on_get: called when a key was asked for, before it is given as it was.
        asked: "LIST", or method and key, of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.uri = f"s3://faulty-{next(NUMBERS)}"
        self.objects: dict[str, bytes] = {}
        self.faults: dict[str, tuple[int, str]] = {}
        self.listed_sizes: dict[str, int] = {}
        self.on_get: dict[str, Callable[[], object]] = {}
        self.asked: list[str] = []
        self._thread = threading.Thread(target=partial(self.serve_forever, poll_interval=0.01))

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead to it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }

    def size(self, key: str) -> int:
        """Return the size that it claims for an object."""
        return self.listed_sizes.get(key, len(self.objects[key]))

    def __enter__(self) -> FaultyBucket:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self._thread.join()
        super().__exit__(*error)


class _Handler(BaseHTTPRequestHandler):
    server: FaultyBucket
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        key = unquote(parts.path).lstrip("/").partition("/")[2]
        query = parse_qs(parts.query)
        is_list = "list-type" in query
        self.server.asked.append("LIST" if is_list else f"{self.command} {key}")
        if fault := self.server.faults.get(key):
            self._refuse(*fault)
        elif is_list:
            self._list(query.get("prefix", [""])[0], query.get("continuation-token", [""])[0])
        elif key in self.server.objects:
            self._give(key)
        else:
            self._refuse(404, "NoSuchKey")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _refuse(self, status: int, code: str) -> None:
        self._answer(f"<Error><Code>{code}</Code><Message>some words</Message></Error>", status)

    def _list(self, prefix: str, after: str) -> None:
        keys = sorted(k for k in self.server.objects if k.startswith(prefix) and k > after)
        page, more = keys[:PAGE], len(keys) > PAGE
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        files = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{LISTED}</LastModified>"
            f"<Size>{self.server.size(key)}</Size></Contents>"
            for key in page
        )
        truncated = str(more).lower()
        self._answer(
            f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{token}{files}"
            "</ListBucketResult>"
        )

    def _give(self, key: str) -> None:
        is_head = self.command == "HEAD"
        size = self.server.size(key) if is_head else None
        content = self.server.objects[key]
        if not is_head and key in self.server.on_get:
            self.server.on_get[key]()
        self._answer(content, size=size)

    def _answer(self, content: str | bytes, status: int = 200, size: int | None = None) -> None:
        content = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if size is None else size))
        self.send_header("Last-Modified", MODIFIED)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
