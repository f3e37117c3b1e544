"""Addresses of Ray clusters: which one is meant, and whether a cluster is there at all."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

import ray

from emi_model.errors import ClusterError

HERE = "local"
"""The address that means: no cluster, start Ray on this machine."""

CONNECT_SECONDS = 10.0

LOOPBACK = ("localhost", "127.0.0.1", "::1")

FRAME_BYTES = 9
SETTINGS_FRAME = b"\x04"
"""A frame's header in HTTP/2, and its fourth byte if it says settings (RFC 9113, section 4.1)."""

HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + SETTINGS_FRAME + b"\0" * 5


def named_address(address: str | None) -> str:
    """Return the address that was named, here or by ``RAY_ADDRESS``; `HERE` if none was."""
    return address or os.environ.get("RAY_ADDRESS") or HERE


def check_address(address: str) -> None:
    """Refuse what Ray would try for minutes, or treat otherwise than these flows can.

    Raises:
        ClusterError: it is no address of a cluster, or nobody answers there.
    """
    if "://" in address:
        raise ClusterError(
            f"{address}: found an address of Ray's client, expected HOST:PORT: run this on a node "
            "of the cluster, or hand it over with `ray job submit -- emi ...`"
        )
    if address == "auto":
        return
    parts = urlsplit(f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise ClusterError(f"{address}: found no address of a Ray cluster, expected HOST:PORT")
    if host in LOOPBACK:  # as Ray does: its servers listen on the machine's own address
        host = _own_address()
    try:
        answers = _speaks_grpc(host, port)
    except OSError as error:
        raise ClusterError(
            f"{address}: no Ray cluster answers there ({error}): check the address, and that the "
            "cluster runs (`ray status`)"
        ) from error
    if not answers:
        raise ClusterError(
            f"{address}: what answers there is no Ray cluster: expected the address of its head, "
            "port 6379 if nothing else was said"
        )


def _speaks_grpc(host: str, port: int) -> bool:
    """Tell whether a server speaks HTTP/2, as Ray's do: to any other Ray would talk for minutes.

    With TLS only a server's being there is seen.

    Raises:
        OSError: there is none.
    """
    with socket.create_connection((host, port), CONNECT_SECONDS) as connection:
        if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
            return True
        connection.sendall(HTTP2_HELLO)
        return connection.recv(FRAME_BYTES, socket.MSG_WAITALL)[3:4] == SETTINGS_FRAME


def _own_address() -> str:
    own: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    return own
