"""Who is let in: this machine, under its own names, with the token, and only to look."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from tasks.browsing.guard import Guard, new_token
from tests.tasks.browsing.reading import PORT, TOKEN, Read

HOME = f"http://127.0.0.1:{PORT}"


async def inside(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("inside")(scope, receive, send)


def client(**options: Any) -> TestClient:
    return TestClient(Guard(inside, TOKEN, PORT), base_url=HOME, **options)


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_have() -> None:
    visitor = client()
    arrived = visitor.get("/clip", params={"token": TOKEN, "clip": 'a"b<c&d.mp4'})
    assert arrived.status_code == 200
    assert "inside" not in arrived.text
    assert arrived.headers["set-cookie"].startswith(f"emi_browse_{PORT}={TOKEN};")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(
        arrived.headers["set-cookie"].split("; ")
    )
    on = Read(arrived.text).links()["Open the page"]
    assert on == "/clip?clip=a%22b%3Cc%26d.mp4"
    assert TOKEN not in on
    assert visitor.get(on).text == "inside"


@pytest.mark.parametrize("token", ["", "wrong", "rïght", TOKEN + "x"])
def test_without_the_token_nothing_is_shown(token: str) -> None:
    visitor = client(cookies={f"emi_browse_{PORT}": "wrong"})
    refused = visitor.get("/", params={"token": token, "q": "<b>"})
    assert refused.status_code == 403
    assert "inside" not in refused.text
    fields = {one["name"]: one.get("value") for one in Read(refused.text).every("input")}
    assert fields == {"q": "<b>", "token": None}, "with the token typed, the view is the same"


def test_a_damaged_cookie_is_none() -> None:
    assert client().get("/", headers={"cookie": "emi\x7f[=1; ;;=="}).status_code == 403


def test_an_odd_cookie_of_another_program_does_not_hide_ours() -> None:
    both = {"cookie": f'other={{"a":1}}; emi_browse_{PORT}={TOKEN}'}
    assert client().get("/", headers=both).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", f"0.0.0.0:{PORT}"]
)
def test_by_another_name_nobody_is_let_in(host: str) -> None:
    answer = client().get("/", params={"token": TOKEN}, headers={"host": host})
    assert (answer.status_code, "set-cookie" in answer.headers) == (421, False)


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"[::1]:{PORT}"])
def test_this_machines_own_names(host: str) -> None:
    assert client().get("/", params={"token": TOKEN}, headers={"host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_is_written(method: str) -> None:
    answer = client().request(method, "/", params={"token": TOKEN})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_no_address_leads_to_another_server() -> None:
    for path in ("//evil.example/", "/\\evil.example/"):
        found = asyncio.run(answered(path, f"token={TOKEN}"))
        assert b'href="/evil.example/"' in found
        assert b'action="/evil.example/"' in asyncio.run(answered(path, ""))


async def answered(path: str, query: str) -> bytes:
    """The body of an answer to a path that a client would make another of."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode()}
    scope["headers"] = [(b"host", f"127.0.0.1:{PORT}".encode())]
    await Guard(inside, TOKEN, PORT)(scope, receive, send)
    return b"".join(message.get("body", b"") for message in sent)


def test_every_answer_keeps_the_page_to_itself() -> None:
    visitor = client()
    for answer in (visitor.get("/"), visitor.get("/?token=" + TOKEN), visitor.get("/")):
        policy = answer.headers["content-security-policy"].split("; ")
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert not any("unsafe" in one or "http" in one for one in policy)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


def test_tokens_are_long_and_new() -> None:
    assert new_token() != new_token()
    assert len(new_token()) >= 32
