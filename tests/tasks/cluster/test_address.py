from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from emi_model.errors import ClusterError
from tasks.cluster.address import check_address, named_address


def test_what_is_named_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert named_address(None) == named_address("") == "local"
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert named_address(None) == "head:6379"
    assert named_address("local") == "local"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ray://head:10001", "found an address of Ray's client, expected HOST:PORT"),
        ("head", "found no address of a Ray cluster, expected HOST:PORT"),
        ("head:99999", "found no address of a Ray cluster"),
        ("head:port", "found no address of a Ray cluster"),
    ],
)
def test_what_is_no_address_of_a_cluster(address: str, said: str) -> None:
    with pytest.raises(ClusterError, match=f"^{address}: {said}"):
        check_address(address)


@pytest.fixture
def web_server() -> Iterator[int]:
    """Return the port of a server that speaks HTTP/1, as Ray's dashboard does."""

    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_another_server_is_no_cluster(web_server: int) -> None:
    with pytest.raises(ClusterError, match="what answers there is no Ray cluster"):
        check_address(f"localhost:{web_server}")


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ClusterError, match=r"no Ray cluster answers there \(.*\): check the"):
        check_address(f"127.0.0.1:{port}")


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.cluster.address.ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "127.0.0.1")
        with pytest.raises(ClusterError, match=r"no Ray cluster answers there \(timed out\)"):
            check_address(f"localhost:{silent.getsockname()[1]}")
