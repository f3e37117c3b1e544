"""The nodes of a Ray cluster: which there are, what they say, and which are lost."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import ray
from ray.exceptions import RayTaskError, RuntimeEnvSetupError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tasks.cluster.budget import NodeSize

NODE_ANSWER_SECONDS = 60.0
"""Time for a node to start a worker and answer."""

NODE_CONNECT_SECONDS = 3.0
NODE_GRACE_SECONDS = 3.0
"""A node's workers may be gone before its raylet is: so long a loss may take to show."""

NOTICE_SECONDS = 60.0
"""Time for Ray to notice that a node is lost: its health checks miss several in a row."""

NODE_POLL_SECONDS = 0.5
MAX_CONNECTIONS = 32


def wait_for(reference: Any, timeout_seconds: float | None = None) -> Any:
    """Return what a Ray reference gives, as `ray.get` does, but let signals through.

    Within Ray's own calls Python's handler of SIGTERM cannot raise: a cancelled run would go on.

    Raises:
        RayError: it gives none.
        TimeoutError: it takes longer.
    """
    return reference.future().result(timeout_seconds)


def driver_node() -> str:
    """Return the id of the node that this process is on."""
    node: str = ray.get_runtime_context().get_node_id()
    return node


def actor_on_this_node(actor: type[Any]) -> Any:
    """Start an actor on this process's node: what is lost with that needs no actor any more."""
    remote: Any = ray.remote(actor)
    place = on_node(driver_node())
    return remote.options(num_cpus=0, max_restarts=0, scheduling_strategy=place).remote()


def on_node(node: str) -> NodeAffinitySchedulingStrategy:
    """Return the scheduling of what runs on this node or not at all."""
    return NodeAffinitySchedulingStrategy(node, soft=False)


def alive_nodes() -> dict[str, dict[str, Any]]:
    """Return what Ray knows of each node that it takes to be alive, by id."""
    return {node["NodeID"]: node for node in _nodes() if node["Alive"]}


def working_nodes() -> dict[str, dict[str, Any]]:
    """Return those of `alive_nodes` that have something to give to our workers."""
    return {
        name: node
        for name, node in alive_nodes().items()
        if node["Resources"].get("CPU") or node["Resources"].get("GPU")
    }


def address_of(node: Mapping[str, Any]) -> str:
    """Return how people know a node: its address, and the first digits of its id."""
    return f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"


def ask_nodes(
    question: Callable[[], Any],
    nodes: Collection[str],
    timeout_seconds: float = NODE_ANSWER_SECONDS,
) -> dict[str, Any]:
    """Have each node answer; returns the answers by node id, of those that answered in time.

    Args:
        question: what a worker there runs. A function within a function travels with its code.
        nodes: ids.
        timeout_seconds: for all together.

    Returns:
        What it returned, or the error that it raised or that kept it from running. A node that is
        lost meanwhile gives no answer.
    """
    remote: Any = ray.remote(num_cpus=0, max_retries=1)(question)
    asked = {
        remote.options(scheduling_strategy=on_node(node)).remote().future(): node for node in nodes
    }
    answered, _ = wait(asked, timeout_seconds)
    answers: dict[str, Any] = {}
    for future in answered:
        error = future.exception()
        if error is None or isinstance(error, (RayTaskError, RuntimeEnvSetupError)):
            answers[asked[future]] = error or future.result()
    return answers


def node_sizes() -> list[NodeSize]:
    """Return what each node has to give."""
    found = [node["Resources"] for node in alive_nodes().values()]
    return [NodeSize(resources.get("CPU", 0), resources.get("GPU", 0)) for resources in found]


def dead_nodes() -> frozenset[str]:
    """Return the ids of the nodes that Ray knows to be dead."""
    return frozenset(node["NodeID"] for node in _nodes() if not node["Alive"])


def lost_nodes(dead_before: Collection[str]) -> frozenset[str]:
    """Return the nodes that were lost since, once Ray knows of it too.

    Ray notices a lost machine after many seconds; that its port is dead is seen at once. This
    process's own node is never lost: it would be, too.

    Args:
        dead_before: what `dead_nodes` gave earlier.

    Returns:
        Their ids. That none is lost takes `NODE_GRACE_SECONDS` to say, unless this node is alone.
    """
    deadline = time.monotonic() + NODE_GRACE_SECONDS
    while True:
        nodes = [node for node in _nodes() if node["NodeID"] not in dead_before]
        others = [node for node in nodes if node["NodeID"] != driver_node()]
        lost = _not_there(others)
        if lost:
            _await_notice(lost)
        if lost or not others or time.monotonic() > deadline:
            return lost
        time.sleep(NODE_POLL_SECONDS)


def _nodes() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return nodes


def _not_there(nodes: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    with ThreadPoolExecutor(MAX_CONNECTIONS) as threads:
        there = threads.map(_is_there, nodes)
        return frozenset(
            node["NodeID"] for node, is_there in zip(nodes, there, strict=True) if not is_there
        )


def _is_there(node: Mapping[str, Any]) -> bool:
    address = node["NodeManagerAddress"], node["NodeManagerPort"]
    try:
        if node["Alive"]:
            socket.create_connection(address, NODE_CONNECT_SECONDS).close()
    except OSError:
        return False
    return bool(node["Alive"])


def _await_notice(lost: Collection[str]) -> None:
    """Wait until Ray gives no more work to lost nodes."""
    deadline = time.monotonic() + NOTICE_SECONDS
    while alive_nodes().keys() & set(lost) and time.monotonic() < deadline:
        time.sleep(NODE_POLL_SECONDS)
