"""The Ray cluster of a run: one on this machine, for as long as the run needs it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from emi_model.errors import ClusterError

OBJECT_STORE_BYTES = 512 * 2**20
"""Shared memory for what goes from process to process, so that it does not grow with the corpus."""


@contextmanager
def ray_cluster(num_cpus: int) -> Iterator[None]:
    """Start Ray on this machine with so many cores to give; joins one that is already there.

    Raises:
        ClusterError: Ray does not start.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(
            num_cpus=num_cpus,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (RayError, OSError, RuntimeError, ValueError) as error:
        raise ClusterError(f"Ray did not start: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()
