"""The nodes of a Ray cluster: which are alive, what they answer, and which are lost."""

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
"""How long a loss may take to show: a node's workers may end before its raylet does."""

NOTICE_SECONDS = 60.0
"""Time for Ray to notice that a node is lost: its health checks miss several in a row."""

NODE_POLL_SECONDS = 0.5
MAX_CONNECTIONS = 32


def wait_for(reference: Any, timeout_seconds: float | None = None) -> Any:
    """Return the value of a Ray reference, as `ray.get` does, but let signals interrupt the wait.

    Within Ray's own calls Python's handler of SIGTERM cannot raise: a cancelled run would go on.

    Raises:
        RayError: there is no value, because the task or its worker failed.
        TimeoutError: it takes longer.
    """
    return reference.future().result(timeout_seconds)


def driver_node() -> str:
    """Return the id of the node that this process is on."""
    node: str = ray.get_runtime_context().get_node_id()
    return node


def actor_on_this_node(actor: type[Any], **options: Any) -> Any:
    """Start an actor on this process's node: if that node is lost, nobody needs the actor.

    Args:
        actor: its class.
        options: further ones of Ray's.
    """
    remote: Any = ray.remote(actor)
    place = {"scheduling_strategy": on_node(driver_node())}
    return remote.options(num_cpus=0, max_restarts=0, **place, **options).remote()


def on_node(node: str) -> NodeAffinitySchedulingStrategy:
    """Return the scheduling strategy of a task that must run on this node."""
    return NodeAffinitySchedulingStrategy(node, soft=False)


def alive_nodes() -> dict[str, dict[str, Any]]:
    """Return Ray's record of each node that it believes to be alive, by id."""
    return {node["NodeID"]: node for node in _nodes() if node["Alive"]}


def working_nodes() -> dict[str, dict[str, Any]]:
    """Return those of `alive_nodes` that have CPUs or GPUs."""
    return {
        name: node
        for name, node in alive_nodes().items()
        if node["Resources"].get("CPU") or node["Resources"].get("GPU")
    }


def address_of(node: Mapping[str, Any]) -> str:
    """Return a node's address and the first digits of its id, for messages."""
    return f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"


def ask_nodes(
    question: Callable[[], Any],
    nodes: Collection[str],
    timeout_seconds: float = NODE_ANSWER_SECONDS,
) -> dict[str, Any]:
    """Call a function on each node.

    Args:
        question: the function; Ray sends its code along if it is defined within another function.
        nodes: ids.
        timeout_seconds: for all together.

    Returns:
        By node id the function's result, or the error that it raised or that kept it from running.
        A node that is lost or late is left out.
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
    """Return the size of each node that is alive."""
    found = [node["Resources"] for node in alive_nodes().values()]
    return [NodeSize(resources.get("CPU", 0), resources.get("GPU", 0)) for resources in found]


def dead_nodes() -> frozenset[str]:
    """Return the ids of the nodes that Ray has found to be dead."""
    return frozenset(node["NodeID"] for node in _nodes() if not node["Alive"])


def lost_nodes(dead_before: Collection[str]) -> frozenset[str]:
    """Return the nodes that were lost since an earlier call of `dead_nodes`.

    Ray notices a lost machine only after many seconds, so this connects to each node's port, and
    then waits until Ray has noticed too. The node of this process is never lost.

    Args:
        dead_before: what `dead_nodes` returned then.

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
    """Wait until Ray has noticed that nodes are lost, and sends them no more work."""
    deadline = time.monotonic() + NOTICE_SECONDS
    while alive_nodes().keys() & set(lost) and time.monotonic() < deadline:
        time.sleep(NODE_POLL_SECONDS)
