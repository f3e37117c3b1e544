"""A bucket on loopback that goes wrong on demand, and notes what it was asked for."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

NUMBERS = itertools.count(1)
PAGE = 1000
MODIFIED = "Sat, 21 Nov 2026 08:00:00 GMT"
MODIFIED_NS = 1_795_248_000 * 10**9
LISTED = "2026-11-21T08:00:00.123Z"
"""As some servers say it: a list tells more than a single object does."""

STORED_500, STORED_CUT = "stored, then 500", "stored, then the line is cut"
CONFLICT, BUSY = "409 ConditionalRequestConflict", "503 with Retry-After"
HALF, SLOW = "half of the answer, then the line is cut", "the answer in slow pieces"
SLOW_SECONDS = 0.2


class FaultyBucket(ThreadingHTTPServer):
    """Speaks as much of S3's protocol as a store takes, while it is entered.

    Attributes:
        uri: of the bucket.
        objects: contents by key.
        faults: status and error code by key; of the empty key: of lists.
        mishaps: what goes wrong with the next requests, by method or "LIST", each once.
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
        self.mishaps: dict[str, list[str]] = defaultdict(list)
        self.listed_sizes: dict[str, int] = {}
        self.on_get: dict[str, Callable[[], object]] = {}
        self.asked: list[str] = []
        self.storing = threading.Lock()
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

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients go away when the line is cut."""

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
        key, query = self._begin()
        is_list = "list-type" in query
        self._note("LIST" if is_list else self.command, key)
        if self._mishap in (BUSY, STORED_500):
            self._refuse(*((503, "SlowDown") if self._mishap == BUSY else (500, "InternalError")))
        elif fault := self.server.faults.get(key):
            self._refuse(*fault)
        elif is_list:
            after = query.get("continuation-token") or query.get("start-after") or [""]
            self._list(query.get("prefix", [""])[0], after[0])
        elif key in self.server.objects:
            self._give(key)
        else:
            self._refuse(404, "NoSuchKey")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        key, _ = self._begin()
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self._note("PUT", key)
        if self._mishap == CONFLICT:
            self._refuse(409, "ConditionalRequestConflict")
        elif self._mishap == BUSY:
            self._refuse(503, "SlowDown")
        elif fault := self.server.faults.get(key):
            self._refuse(*fault)
        else:
            with self.server.storing:
                is_new = key not in self.server.objects
                if is_new or self.headers["If-None-Match"] != "*":
                    self.server.objects[key] = content
                    is_new = True
            if is_new:
                self._done("", key)
            else:
                self._refuse(412, "PreconditionFailed")

    def do_POST(self) -> None:
        """Delete the objects that the body names."""
        self._begin()
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        keys = [unescape(key) for key in re.findall("<Key>(.*?)</Key>", body)]
        self._note("DELETE", ",".join(keys))
        if self._mishap == BUSY:
            self._refuse(503, "SlowDown")
            return
        for key in keys:
            self.server.objects.pop(key, None)
        deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self._done(f"<DeleteResult>{deleted}</DeleteResult>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _begin(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        return unquote(parts.path).lstrip("/").partition("/")[2], parse_qs(parts.query)

    def _note(self, method: str, key: str) -> None:
        self.server.asked.append("LIST" if method == "LIST" else f"{method} {key}")
        with self.server.storing:
            waiting = self.server.mishaps[method]
            self._mishap = waiting.pop(0) if waiting else ""

    def _done(self, content: str, key: str = "") -> None:
        """Answer a request that was carried out, if the answer is not to be lost."""
        if self._mishap == STORED_CUT:
            self._cut()
        elif self._mishap == STORED_500:
            self._refuse(500, "InternalError")
        else:
            self._answer(content, key=key)

    def _cut(self) -> None:
        self.close_connection = True

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
        self._answer(content, size=size, key=key)

    def _answer(
        self, content: str | bytes, status: int = 200, size: int | None = None, key: str = ""
    ) -> None:
        content = content.encode() if isinstance(content, str) else content
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        first = 0
        if wanted and status == 200:
            first, whole, status = int(wanted[1]), len(content), 206
            content = content[first : int(wanted[2]) + 1 if wanted[2] else None]
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if size is None else size))
        self.send_header("Last-Modified", MODIFIED)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{first + len(content) - 1}/{whole}")
        if status == 503:
            self.send_header("Retry-After", "1")
        if key in self.server.objects:
            self.send_header("ETag", f'"{md5(self.server.objects[key]).hexdigest()}"')
        self.end_headers()
        if self.command == "HEAD":
            return
        if self._mishap == HALF:
            self.wfile.write(content[: len(content) // 2])
            self._cut()
        elif self._mishap == SLOW:
            for piece in (content[: len(content) // 2], content[len(content) // 2 :]):
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(SLOW_SECONDS)
        else:
            self.wfile.write(content)
