"""Addresses of Ray clusters: which one to use, and whether a cluster answers there."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from emi_model.errors import ClusterError
from tasks.processes.prefect_server import server_url
from tasks.processes.surroundings import LOOPBACK

HERE = "local"
"""The address that means: no cluster, start Ray on this machine."""

ANSWER_SECONDS = 10.0


def named_address(address: str | None) -> str:
    """Return the given address, else that of ``RAY_ADDRESS``, else `HERE`."""
    return address or os.environ.get("RAY_ADDRESS") or HERE


def check_address(address: str) -> None:
    """Refuse an address that Ray would try for minutes, or that is not of a cluster to join.

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
    if host in LOOPBACK:
        import ray

        # as Ray does: its servers listen on the machine's own address
        host = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
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
            "port 6379 unless it was started with another"
        )


def _speaks_grpc(host: str, port: int) -> bool:
    """Return whether a server answers gRPC's health check; with TLS, only whether one listens.

    Ray's own check (GcsClient) takes 13 s to refuse a server, and prints lines meanwhile.

    Raises:
        OSError: nothing answers.
    """
    import httpx

    with socket.create_connection((host, port), ANSWER_SECONDS):
        if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
            return True
    url = f"{server_url(host, port)}/grpc.health.v1.Health/Check"
    headers = {"content-type": "application/grpc", "te": "trailers"}
    direct = httpx.HTTPTransport(http1=False, http2=True)  # given one, httpx asks no proxy
    try:
        with httpx.Client(transport=direct, timeout=ANSWER_SECONDS) as client:
            # the content is gRPC's frame of an empty message
            answer = client.post(url, content=bytes(5), headers=headers)
    except httpx.TimeoutException as error:
        raise TimeoutError(str(error)) from error
    except httpx.TransportError:
        return False
    return bool(answer.headers.get("content-type", "").startswith("application/grpc"))
