"""The one thread budget of a machine, or of each node of a cluster: who computes on how many cores.

On a machine of our own Ray is told of as many CPUs as the budget gives out. A cluster's CPUs are
what they are. There each stage claims half of a node's: Ray Data gives two stages that both want
more just that, so a node gets one scorer, with threads for all its cores, and decoders, niced, that
take what it leaves; as on one machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from emi_model.devices import available_cores
from emi_model.errors import ConfigError

CORES_PER_DECODER = 4
"""One decoder feeds this many scoring cores on a CPU machine: extraction is the lighter stage."""

MIN_DECODERS = 2
"""On a machine of a few cores one decoder would keep a small model waiting."""

SCORERS_ON_CPU = 2
"""Scorers that share a machine's cores: what one does in a single thread leaves no core idle, and
who takes a core for a moment holds up only one (a fifth faster on two cores, RESULTS.md). More
would cost a model's memory each."""

CLIPS_A_SCORER = 64
"""Fewer clips are not worth another scorer's start."""

SHARES = 10_000
"""Ray counts in ten-thousandths of a GPU, and rounds: a share must not be rounded up."""

STANDARD_CPUS = 4
"""The size to plan for on a cluster without a node: its autoscaler hears what scorers claim."""


class NodeSize(NamedTuple):
    """What a node of a cluster has to give."""

    cpus: float
    gpus: float


@dataclass(frozen=True)
class ScorerPool:
    """What was asked of the pool of scorers.

    Attributes:
        workers: scorers; None: two a machine or one a GPU, on a cluster as many as it has room for.
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
    """How cores and GPUs are shared between the two stages.

    Attributes:
        cores: cores of this machine that this process may use, or of the cluster.
        scorers: processes that hold the model; if elastic, those that there is room for now.
        threads_per_scorer: PyTorch threads of each.
        decoders: extractions at a time; each runs one single-threaded ffmpeg.
        gpus_per_scorer: GPUs of each scorer; 0 on CPUs.
        cpus_per_scorer: CPUs that a scorer claims of Ray; its threads may be more.
        cpus_per_decoder: CPUs that a decoder claims of Ray.
        elastic: take more scorers and decoders when nodes come, fewer when they go.
        chosen: nobody asked for so many scorers of this machine of our own: one may have all.
    """

    cores: int
    scorers: int
    threads_per_scorer: int
    decoders: int
    gpus_per_scorer: float
    cpus_per_scorer: float
    cpus_per_decoder: float = 1.0
    elastic: bool = False
    chosen: bool = field(default=False, compare=False)

    def for_clips(self, num_clips: int) -> Budget:
        """Return how clips are shared: by one scorer if few; others are not worth their start."""
        few = num_clips < self.scorers * CLIPS_A_SCORER
        return self.alone() if self.chosen and few else self

    def alone(self) -> Budget:
        """Return the budget of one scorer; where their number was chosen, it has all the cores.

        It claims what the others would: Ray was told of no more, and decoders need the rest.
        """
        one = replace(self, scorers=1, elastic=False)
        if not self.chosen:
            return one
        claimed = self.scorers * self.cpus_per_scorer
        return replace(one, threads_per_scorer=self.cores, cpus_per_scorer=claimed)


def machine_budget(
    pool: ScorerPool | None = None, *, cores: int | None = None, gpus: int = 0
) -> Budget:
    """Divide a machine.

    With GPUs: a scorer a GPU, the cores decode. Without: two scorers have the cores, and a
    decoder for every four of them, two at least, runs beside, niced: it takes what they leave.

    Args:
        pool: what was asked for; default: nothing.
        cores: default: those that this process may use.
        gpus: GPUs of the machine.

    Raises:
        ConfigError: GPUs were asked for, and there are none.
    """
    pool = pool or ScorerPool()
    cores = cores or available_cores()
    share = _gpu_share(pool, gpus)
    if share:
        scorers = pool.workers or _room(gpus, share)
        return Budget(cores, scorers, 1, max(1, cores - scorers), share, 0.0)
    scorers = pool.workers or min(cores, SCORERS_ON_CPU)
    threads = max(1, cores // scorers)
    chosen = pool.workers is None
    return Budget(cores, scorers, threads, _decoders(cores), 0.0, float(threads), chosen=chosen)


def cluster_budget(pool: ScorerPool, nodes: Sequence[NodeSize]) -> Budget:
    """Divide a cluster that may grow and shrink.

    With GPUs: a scorer a GPU, all CPUs decode. Without: a scorer a node of the usual size, which
    is the one that most CPUs are in; larger nodes hold several, on smaller ones only decoders run.

    Args:
        pool: what was asked for; a number of workers fixes the pool, else it is elastic.
        nodes: those that are there.

    Raises:
        ConfigError: GPUs were asked for, and there are none.
    """
    cores = max(1, int(sum(node.cpus for node in nodes)))
    elastic = pool.workers is None
    share = _gpu_share(pool, sum(node.gpus for node in nodes))
    if share:
        scorers = pool.workers or sum(_room(node.gpus, share) for node in nodes)
        return Budget(cores, scorers, 1, cores, share, 0.0, 1.0, elastic)
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
        cpus_per_scorer=cpus / 2 / per_host,
        cpus_per_decoder=cpus / 2 / decoders,
        elastic=elastic,
    )


def training_share(workers: int | None, nodes: Sequence[NodeSize]) -> dict[str, int]:
    """Return how a training uses machines: ``workers``, ``threads`` of each, ``gpus`` of all.

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


def _room(gpus: float, share: float) -> int:
    """Return the scorers that some GPUs have room for: none is on two of them."""
    return int(gpus) * int(1 / share + 1e-9)


def _usual_cpus(nodes: Sequence[NodeSize]) -> int:
    """Return the CPUs of the node that the middle one of all CPUs is in."""
    sizes = sorted(int(node.cpus) for node in nodes if node.cpus >= 1)
    middle = sum(sizes) / 2
    for size in sizes:
        middle -= size
        if middle <= 0:
            return size
    return STANDARD_CPUS
