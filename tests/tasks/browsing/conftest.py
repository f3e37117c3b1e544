"""A browsed store without media, and a client that has the token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tasks.browsing.application import Opened, browsing_application
from tasks.browsing.guard import Guard
from tests.reported import write_store
from tests.tasks.browsing.reading import PORT, TOKEN

NUM_CLIPS = 240


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """Return an opened store of 240 clips: runs, labels, metadata, rejections."""
    location = write_store(tmp_path_factory.mktemp("browsed") / "store", NUM_CLIPS).location
    opened = Opened(location)
    yield opened
    opened.close()


@pytest.fixture
def browsed(large: Opened) -> Iterator[TestClient]:
    """Return a client of it that has opened the address with the token."""
    with client_of(large) as client:
        yield client


@pytest.fixture
def browse() -> Iterator[Callable[..., TestClient]]:
    """Return a function that opens a store, with a corpus if there is one, and gives a client."""
    opened: list[tuple[Opened, TestClient]] = []

    def start(location: str | Path, corpus: str | Path | None = None) -> TestClient:
        one = Opened(str(location), None if corpus is None else str(corpus))
        client = client_of(one)
        client.__enter__()
        opened.append((one, client))
        return client

    yield start
    for one, client in opened:
        client.__exit__(None, None, None)
        one.close()


def client_of(opened: Opened, **options: Any) -> TestClient:
    """Return a client of a page; it has the cookie."""
    guard = Guard(browsing_application(opened), TOKEN, PORT)
    client = TestClient(guard, base_url=f"http://127.0.0.1:{PORT}", **options)
    client.get("/", params={"token": TOKEN})
    return client
