"""Whether a run uses a cluster that others started, or this machine; Ray is loaded to join one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from emi_model.devices import available_cores, available_gpus
from tasks.cluster.address import HERE, named_address
from tasks.cluster.budget import NodeSize

_wanted: str | None = None  # address that `joined_cluster` is open with


@contextmanager
def joined_cluster(address: str | None = None) -> Iterator[None]:
    """Join the cluster at an address, if there is one; else Ray is started where it is needed.

    Raises:
        ClusterError: as `tasks.cluster.connection.ray_cluster`.
    """
    global _wanted
    _wanted, before = address or _wanted, _wanted
    try:
        if joins():
            from tasks.cluster.connection import ray_cluster

            with ray_cluster(available_cores()):
                yield
        else:
            yield
    finally:
        _wanted = before


def joins(address: str | None = None) -> bool:
    """Return whether `tasks.cluster.connection.ray_cluster` uses a cluster that others started."""
    if _uses_ray():
        from tasks.cluster.connection import started_here

        return not started_here()
    return wanted_address(address) != HERE


def wanted_address(address: str | None = None) -> str:
    """Return the address given here, or to `joined_cluster`, or of ``RAY_ADDRESS``; else `HERE`."""
    return named_address(address or _wanted)


def machines() -> list[NodeSize]:
    """Return the sizes of a joined cluster's nodes, else the size of this machine."""
    if _uses_ray() and joins():
        from tasks.cluster.nodes import node_sizes

        return node_sizes()
    return [NodeSize(available_cores(), available_gpus())]


def _uses_ray() -> bool:
    """Return whether this process has joined or started a cluster; one that has not loaded Ray not.

    Another thread may be about to load it.
    """
    found = getattr(sys.modules.get("ray"), "is_initialized", None)
    return found is not None and bool(found())
