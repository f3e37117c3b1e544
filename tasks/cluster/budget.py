"""How a machine, or each node of a cluster, shares its cores among scorers and decoders.

Where this process starts Ray, Ray gets as many CPUs as the budget claims. A cluster's nodes have
the CPUs that they have; there each of the two stages claims half of a node's, which is what Ray
Data gives two stages that both want more. So a node gets one scorer with threads for all its cores,
and niced decoders that use what the scorer leaves idle; as on one machine. How a scorer divides its
threads is its own matter (`tasks.scoring.stages.lane_choice`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from emi_model.devices import available_cores
from emi_model.errors import ConfigError

CORES_PER_DECODER = 4
"""Scoring cores that one decoder feeds on a CPU machine: extraction is the lighter stage."""

MIN_DECODERS = 2
"""With one decoder, a small model would wait on a machine of few cores."""

SHARES = 10_000
"""Ray rounds to ten-thousandths of a GPU; a share must not be rounded up."""

_ROUNDING = 1e-9

STANDARD_CPUS = 4
"""CPUs of a node to plan for while a cluster has none: its autoscaler adds what scorers claim."""


class NodeSize(NamedTuple):
    """CPUs and GPUs that a node of a cluster offers."""

    cpus: float
    gpus: float


@dataclass(frozen=True)
class ScorerPool:
    """The pool of scorers that the user asked for.

    Attributes:
        workers: scorers; None: one a machine or one a GPU; on a cluster as many as it can hold.
        gpus_per_scorer: GPUs of each, above 0 and at most 1; None: one, or a share of one where
            there are fewer GPUs than workers.
    """

    workers: int | None = None
    gpus_per_scorer: float | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: one is out of its range.
        """
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers is {self.workers}, expected 1 or more")
        if self.gpus_per_scorer is not None and not 0 < self.gpus_per_scorer <= 1:
            raise ConfigError(
                f"gpus_per_scorer is {self.gpus_per_scorer:g}, expected above 0 and at most 1: a "
                "model is on one GPU, several may share it"
            )


@dataclass(frozen=True)
class Budget:
    """How cores and GPUs are shared among the decoders and the stages of actors.

    Each stage of actors has a pool of the same size. Of those on CPUs only the last one has its
    cores for itself: the stages before it, as the decoders, are nice and take what it leaves idle.

    Attributes:
        cores: cores of this machine that this process may use, or of the cluster.
        scorers: processes of a stage that hold its model; if elastic, as many as fit now.
        threads_per_scorer: threads that compute, of each.
        decoders: extractions at a time; each runs one single-threaded ffmpeg.
        gpus_per_scorer: GPUs of each scorer; 0 on CPUs.
        cpus_per_scorer: CPUs that a scorer claims of Ray; its threads may be more.
        cpus_per_decoder: CPUs that a decoder claims of Ray.
        elastic: run more scorers and decoders when nodes come, fewer when they go.
        stages: of actors.
    """

    cores: int
    scorers: int
    threads_per_scorer: int
    decoders: int
    gpus_per_scorer: float
    cpus_per_scorer: float
    cpus_per_decoder: float = 1.0
    elastic: bool = False
    stages: int = 1

    def for_nodes(self, nodes: Sequence[NodeSize]) -> Budget:
        """Return the budget for a cluster's nodes of now: an elastic pool starts with what fits.

        More scorers than that would take the CPUs of the decoders, whom they would wait for.
        """
        if not self.elastic:
            return self
        if self.gpus_per_scorer:
            fit = sum(_room(node.gpus, self.stages * self.gpus_per_scorer) for node in nodes)
        else:
            each = (1 + self.stages) * self.cpus_per_scorer
            fit = sum(int(node.cpus / each + _ROUNDING) for node in nodes)
        return replace(self, scorers=max(1, fit))

    def alone(self) -> Budget:
        """Return the budget of one scorer."""
        return replace(self, scorers=1, elastic=False)


def machine_budget(
    pool: ScorerPool | None = None, *, cores: int | None = None, gpus: int = 0, stages: int = 1
) -> Budget:
    """Divide a machine.

    With GPUs: a scorer a GPU, and the cores decode. Without: one scorer has all cores. A niced
    decoder for every four cores, two at least, uses what it leaves idle.

    Args:
        pool: that the user asked for; default: none in particular.
        cores: default: those that this process may use.
        gpus: GPUs of the machine.
        stages: of actors; they share the GPUs.

    Raises:
        ConfigError: the pool needs GPUs, and there are none.
    """
    pool = pool or ScorerPool()
    cores = cores or available_cores()
    share = _gpu_share(pool, gpus)
    if share:
        scorers = pool.workers or _room(gpus, share)
        decoders = max(1, cores - stages * scorers)
        return Budget(cores, scorers, 1, decoders, _part(share, stages), 0.0, stages=stages)
    scorers = pool.workers or 1
    threads = max(1, cores // scorers)
    return Budget(
        cores=cores,
        scorers=scorers,
        threads_per_scorer=threads,
        decoders=_decoders(cores),
        gpus_per_scorer=0.0,
        cpus_per_scorer=float(threads),
        stages=stages,
    )


def cluster_budget(pool: ScorerPool, nodes: Sequence[NodeSize], *, stages: int = 1) -> Budget:
    """Divide a cluster that may grow and shrink.

    With GPUs: a scorer a GPU, and all CPUs decode. Without: a scorer a node of the usual size, as
    `_usual_cpus` finds it; larger nodes hold several, smaller ones run only decoders.

    Args:
        pool: that the user asked for; a number of workers fixes the pool, else it is elastic.
        nodes: of the cluster at present.
        stages: of actors; they and the decoders share the CPUs in equal parts.

    Raises:
        ConfigError: the pool needs GPUs, and there are none.
    """
    cores = max(1, int(sum(node.cpus for node in nodes)))
    elastic = pool.workers is None
    share = _gpu_share(pool, sum(node.gpus for node in nodes))
    if share:
        scorers = pool.workers or sum(_room(node.gpus, share) for node in nodes)
        share = _part(share, stages)
        return Budget(cores, scorers, 1, cores, share, 0.0, 1.0, elastic, stages=stages)
    cpus = _usual_cpus(nodes)
    hosts = max(1, sum(int(node.cpus) // cpus for node in nodes))
    per_host = math.ceil((pool.workers or hosts) / hosts)
    decoders = _decoders(cpus)
    return Budget(
        cores=cores,
        scorers=pool.workers or hosts,
        threads_per_scorer=max(1, cpus // per_host),
        decoders=max(1, cores * decoders // cpus),
        gpus_per_scorer=0.0,
        cpus_per_scorer=cpus / (1 + stages) / per_host,
        cpus_per_decoder=cpus / (1 + stages) / decoders,
        elastic=elastic,
        stages=stages,
    )


def training_share(workers: int | None, nodes: Sequence[NodeSize]) -> dict[str, int]:
    """Return a training's number of ``workers``, ``threads`` of each, and ``gpus`` of all nodes.

    Args:
        workers: processes that train together; default: one, or one a GPU of one machine.
        nodes: the machines.
    """
    workers = workers or max(1, *(int(node.gpus) for node in nodes), 1)
    gpus = int(sum(node.gpus for node in nodes))
    cpus = _usual_cpus(nodes)
    hosts = max(1, sum(int(node.cpus) // cpus for node in nodes))
    threads = 1 if gpus else max(1, cpus // math.ceil(workers / hosts))
    return {"workers": workers, "threads": threads, "gpus": gpus}


def _decoders(cores: int) -> int:
    return min(cores, max(MIN_DECODERS, cores // CORES_PER_DECODER))


def _gpu_share(pool: ScorerPool, gpus: float) -> float:
    """Return the GPUs of one scorer; 0 where there are none."""
    if not gpus and pool.gpus_per_scorer:
        raise ConfigError(
            f"gpus_per_scorer is {pool.gpus_per_scorer:g}, but found no GPU: leave it out, or take "
            "machines with GPUs that PyTorch finds"
        )
    if not gpus or pool.gpus_per_scorer:
        return pool.gpus_per_scorer or 0.0
    per_gpu = math.ceil((pool.workers or 1) / gpus)
    return SHARES // per_gpu / SHARES


def _part(share: float, stages: int) -> float:
    """Return the GPUs of an actor where those of several stages share what one would have."""
    return share if stages == 1 else int(share * SHARES) // stages / SHARES


def _room(gpus: float, share: float) -> int:
    """Return how many scorers fit on some GPUs; none is spread over two."""
    return int(gpus) * int(1 / share + _ROUNDING)


def _usual_cpus(nodes: Sequence[NodeSize]) -> int:
    """Return the median size of a node, in CPUs, where each of all CPUs counts once."""
    sizes = sorted(int(node.cpus) for node in nodes if node.cpus >= 1)
    middle = sum(sizes) / 2
    for size in sizes:
        middle -= size
        if middle <= 0:
            return size
    return STANDARD_CPUS
