"""The Ray cluster of a run: started on this machine for as long as the run lasts, or joined.

A cluster's nodes have this project's code from their image, or get it as a wheel from this process,
which also sends them settings. Each node reads models, stores and clips itself.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray.exceptions import RayError

from emi_model.devices import available_gpus
from emi_model.errors import ClusterError
from tasks.cluster.address import HERE, check_address
from tasks.cluster.environment import worker_environment
from tasks.cluster.joined import joins, wanted_address
from tasks.cluster.nodes import address_of, ask_nodes, working_nodes
from tasks.cluster.private import RAY_FOLDER, private_surroundings, started_in
from tasks.cluster.watching import LostHead, OwnProcesses, watched_ray
from tasks.processes import ending
from tasks.processes.guard import guard_this_process
from tasks.provenance import code_version

OBJECT_STORE_BYTES = 512 * 2**20
"""Shared memory for data between processes; fixed, so that it does not grow with the corpus."""

OBJECT_STORE_BYTES_PER_GPU = 1536 * 2**20
"""What each GPU adds: its scorer takes many clips at once."""

MAX_MESSAGE_CHARS = 300

BE_A_NODE = (
    "this machine has to be a node of it (`ray start --address HOST:PORT`), with its Ray and Python"
)

QUIET: Mapping[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


_started_here = False  # whether this process started the Ray that it uses; no other uses that one


@contextmanager
def ray_cluster(num_cpus: int, address: str | None = None) -> Iterator[None]:
    """Join the cluster at an address, or start Ray here; a cluster that is joined already is used.

    The nodes of a cluster get this project's code from the wheel that ``EMI_WHEEL`` names; without
    one, their image has to have it.

    Args:
        num_cpus: cores that Ray gets, if it is started here.
        address: ``HOST:PORT`` of a cluster that this machine is a node of, ``auto`` for the one
            that runs on it, or ``local``: start Ray here. Default: ``RAY_ADDRESS``, else ``local``.

    Raises:
        ClusterError: Ray does not start, the cluster cannot be joined, or its nodes do not run
            this version.
    """
    global _started_here
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    _started_here = not joins(address)
    # Not in the main thread: there Ray would handle SIGTERM, by which Prefect cancels, and a signal
    # during the start would leave some of Ray's processes behind. They die with the thread that
    # started them, so it lives as long as the cluster is used.
    with (
        ending.listening(),
        _surroundings(private=_started_here) as folder,
        ThreadPoolExecutor(1) as thread,
        ExitStack() as watching,
    ):
        try:
            if _started_here:
                own = OwnProcesses()
                watching.enter_context(watched_ray(own.dead))
                _start(num_cpus, thread, folder, own)
            else:
                _join(wanted_address(address), thread, folder)
                head = LostHead(ray.get_runtime_context().gcs_address)
                watching.enter_context(watched_ray(head))
            yield
        finally:
            watching.close()
            _started_here = False
            thread.submit(ray.shutdown).result()


def started_here() -> bool:
    """Return whether this process started the Ray that it uses, and did not join a cluster."""
    return _started_here


def check_versions() -> None:
    """Check that every node runs this project in this version.

    Raises:
        ClusterError: a node has another version, or none; or no node answers.
    """
    nodes = working_nodes()

    def version_there() -> str:
        from importlib.metadata import version

        return version("emi-workflow")

    answers = ask_nodes(version_there, nodes.keys())
    if nodes and not answers:
        raise ClusterError("no node of the cluster answers: look at `ray status`")
    here = code_version()
    for node, found in answers.items():
        if found != here:
            there = _reason(found) if isinstance(found, RayError) else f"emi-workflow {found}"
            raise ClusterError(
                f"node {address_of(nodes[node])}: found {there}, expected emi-workflow {here}: "
                "start the nodes from an image with this version, or send it along as a wheel "
                "(`make wheel`, --wheel or EMI_WHEEL)"
            )


@contextmanager
def _surroundings(*, private: bool) -> Iterator[Path]:
    """Yield the folder in which Ray is started or joined, empty but for what Ray itself writes."""
    if private:
        with private_surroundings() as folder:
            yield folder
    else:
        with TemporaryDirectory(prefix="emi-join-") as name:
            yield Path(name)


def _start(num_cpus: int, thread: Executor, folder: Path, own: OwnProcesses) -> None:
    guard_this_process()
    gpus = available_gpus()

    def start() -> None:
        with own.starting():
            ray.init(
                HERE,
                num_cpus=num_cpus,
                num_gpus=gpus,
                object_store_memory=OBJECT_STORE_BYTES + gpus * OBJECT_STORE_BYTES_PER_GPU,
                include_dashboard=False,
                _temp_dir=str(folder / RAY_FOLDER),
                **QUIET,
            )

    starting = thread.submit(started_in, folder, start)
    _await(
        starting,
        "Ray did not start",
        f"look at its logs in {folder / RAY_FOLDER}/session_latest/logs",
    )


def _join(address: str, thread: Executor, folder: Path) -> None:
    check_address(address)
    with worker_environment(os.environ.get("EMI_WHEEL")) as environment:
        joining = thread.submit(
            started_in, folder, ray.init, address, runtime_env=environment, **QUIET
        )
        _await(joining, f"{address}: cannot join the cluster", BE_A_NODE)
    check_versions()


def _await(connecting: Future[Any], failed: str, advice: str) -> None:
    try:
        connecting.result()
    except (RayError, OSError, RuntimeError, ValueError) as error:
        message = " ".join(str(error).split())
        raise ClusterError(f"{failed}: {message[:MAX_MESSAGE_CHARS]}: {advice}") from error
    if threading.current_thread() is threading.main_thread():
        # Ray's compiled part has set a handler that aborts the process three seconds later, in the
        # middle of clearing up. This puts Python's own in its place again.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM) or signal.SIG_DFL)


def _reason(error: RayError) -> str:
    """Return the last line of an error's message: in a worker's traceback, the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
