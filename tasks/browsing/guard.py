"""Who may ask: this machine, under its own names, with the address that the command printed.

A page of another site that the user visits can send requests to loopback. It cannot send our
cookie (SameSite=Strict), nor by a name of its own that leads here (the Host header is checked),
nor frame a page of ours or read what it answers.
"""

from __future__ import annotations

import html
import secrets
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "token"
"""Name in the address, on the first visit."""

NONCE = "style_nonce"
"""Key of a request's scope: what allows a style of the vendored scripts."""

METHODS = ("GET", "HEAD")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self'; "
    "media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_ARRIVED = """\
<!doctype html><html lang="en"><meta charset="utf-8">
<meta http-equiv="refresh" content="0;url={to}"><link rel="icon" href="/static/icon.svg">
<title>emi browse</title>
<p><a href="{to}">Open the page</a></p></html>"""
_NO_TOKEN = """\
<!doctype html><html lang="en"><meta charset="utf-8"><title>emi browse</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<h1>This page needs the address that <code>emi browse</code> printed</h1>
<p>Each start of the command has a new token at the end of its address, so that no other program
or site reads your results. Open that address, or paste the token here:</p>
<form method="get" action="{path}">{fields}
<p><label>Token <input name="token" autocomplete="off" required autofocus></label>
<button>Open</button></p></form></html>"""


class Guard:
    """Lets requests through to an application, with headers that keep the page to itself."""

    def __init__(self, application: ASGIApp, token: str, port: int) -> None:
        """Take an application, the token that opens it, and the port that it listens on."""
        self._application = application
        self._token = token
        self._cookie = f"emi_browse_{port}"  # cookies do not tell ports apart
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        if port == 80:
            self._hosts |= {name.partition(":80")[0] for name in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope[NONCE] = nonce
        refused = self._refused(scope)
        application = refused if refused is not None else self._application
        await application(scope, receive, _with_headers(send, nonce))

    def _refused(self, scope: Scope) -> Response | None:
        """Return the answer to a request that is not let through; None: it is."""
        headers = Headers(scope=scope)
        if headers.get("host") not in self._hosts:
            return _plain(HTTPStatus.MISDIRECTED_REQUEST, "emi browse answers this machine alone")
        if scope["method"] not in METHODS:
            words = "emi browse only shows: it takes GET and HEAD"
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, words, {"Allow": ", ".join(METHODS)})
        given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        token = next((value for name, value in given if name == TOKEN), None)
        rest = [(name, value) for name, value in given if name != TOKEN]
        if token is not None and self._is_right(token):
            return self._arrived(scope["path"], rest)
        if not self._is_right(self._own_cookie(headers.getlist("cookie"))):
            return _asking_for_token(scope["path"], rest)
        return None

    def _own_cookie(self, headers: Iterable[str]) -> str:
        """Return the cookie's value; those of other programs of this machine may stand beside it.

        Starlette's parser passes over odd ones, where Python's gives up.
        """
        found = (cookie_parser(header).get(self._cookie) for header in headers)
        return next(filter(None, found), "")

    def _is_right(self, token: str) -> bool:
        return secrets.compare_digest(token.encode(), self._token.encode())

    def _arrived(self, path: str, query: Iterable[tuple[str, str]]) -> Response:
        """Return the page that sets the cookie, and goes on without the token in the address.

        A redirect would not do: of one that begins at another site the browser keeps the cookie.
        """
        to = _local(path) + (f"?{urlencode(list(query))}" if query else "")
        response = HTMLResponse(_ARRIVED.format(to=html.escape(to)))
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
        return response


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(24)


def _with_headers(send: Send, nonce: str) -> Callable[[Message], Awaitable[None]]:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Content-Security-Policy", _POLICY.format(nonce=nonce))
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sent


def _plain(status: HTTPStatus, words: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(words, status, headers)


def _asking_for_token(path: str, query: Iterable[tuple[str, str]]) -> Response:
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in query
    )
    page = _NO_TOKEN.format(path=html.escape(_local(path)), fields=fields)
    return HTMLResponse(page, HTTPStatus.FORBIDDEN)


def _local(path: str) -> str:
    """Return a path that stays on this server: two slashes at its beginning name another."""
    return "/" + path.lstrip("/\\")
