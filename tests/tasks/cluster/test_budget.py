from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emi_model.devices import available_cores
from emi_model.errors import ConfigError
from tasks.cluster.budget import Budget, NodeSize, ScorerPool, cluster_budget, machine_budget


@pytest.mark.parametrize(
    ("workers", "cores", "gpus", "budget"),
    [
        (None, 1, 0, Budget(1, 1, 1, 1, 0.0, 1)),
        (None, 2, 0, Budget(2, 1, 2, 2, 0.0, 2)),
        (1, 2, 0, Budget(2, 1, 2, 2, 0.0, 2)),
        (None, 16, 0, Budget(16, 1, 16, 4, 0.0, 16)),
        (2, 16, 0, Budget(16, 2, 8, 4, 0.0, 8)),
        (4, 16, 0, Budget(16, 4, 4, 4, 0.0, 4)),
        (3, 8, 0, Budget(8, 3, 2, 2, 0.0, 2)),
        (8, 2, 0, Budget(2, 8, 1, 2, 0.0, 1)),
        (None, 16, 1, Budget(16, 1, 1, 15, 1.0, 0)),
        (None, 32, 4, Budget(32, 4, 1, 28, 1.0, 0)),
        (2, 16, 1, Budget(16, 2, 1, 14, 0.5, 0)),
        (4, 2, 2, Budget(2, 4, 1, 1, 0.5, 0)),
        (3, 16, 2, Budget(16, 3, 1, 13, 0.5, 0)),
        (1, 16, 4, Budget(16, 1, 1, 15, 1.0, 0)),
    ],
)
def test_shares(workers: int | None, cores: int, gpus: int, budget: Budget) -> None:
    assert machine_budget(ScorerPool(workers), cores=cores, gpus=gpus) == budget


@settings(derandomize=True, database=None)
@given(st.none() | st.integers(1, 300), st.integers(1, 300), st.integers(0, 16))
def test_every_stage_gets_something_and_no_stage_too_much(
    workers: int | None, cores: int, gpus: int
) -> None:
    budget = machine_budget(ScorerPool(workers), cores=cores, gpus=gpus)
    assert min(budget.scorers, budget.threads_per_scorer, budget.decoders) >= 1
    assert budget.scorers == (workers or gpus or 1)
    if gpus:
        assert 0 < budget.gpus_per_scorer <= 1
        assert gpus * (10_000 // round(budget.gpus_per_scorer * 10_000)) >= budget.scorers
    else:
        assert budget.scorers * budget.threads_per_scorer <= max(cores, budget.scorers)
    assert budget.decoders <= cores
    assert not budget.elastic
    claimed, alone = budget.scorers * budget.cpus_per_scorer, budget.alone()
    assert alone.cpus_per_scorer <= claimed, "of Ray's CPUs some would be missing for decoders"
    assert alone.scorers == 1


def test_one_scorer_alone_takes_no_more_than_it_took_among_others() -> None:
    for pool in (ScorerPool(), ScorerPool(4)):
        for budget in (machine_budget(pool, cores=16), cluster_budget(pool, [NodeSize(16, 0)] * 3)):
            assert budget.alone() == replace(budget, scorers=1, elastic=False), "fits into a node"


@pytest.mark.parametrize("workers", [0, -1])
def test_fewer_than_one_worker(workers: int) -> None:
    with pytest.raises(ConfigError, match=f"workers is {workers}, expected 1 or more"):
        ScorerPool(workers)


@pytest.mark.parametrize("share", [0, -0.5, 1.5, 2])
def test_a_scorer_is_on_one_gpu(share: float) -> None:
    with pytest.raises(ConfigError, match=f"gpus_per_scorer is {share:g}, expected above 0"):
        ScorerPool(gpus_per_scorer=share)


def test_several_scorers_share_a_gpu() -> None:
    budget = machine_budget(ScorerPool(gpus_per_scorer=0.25), cores=16, gpus=2)
    assert (budget.scorers, budget.gpus_per_scorer) == (8, 0.25)
    assert machine_budget(ScorerPool(3, 0.5), cores=16, gpus=2).scorers == 3


def test_gpus_that_are_not_there_are_missed() -> None:
    with pytest.raises(ConfigError, match="found no GPU"):
        machine_budget(ScorerPool(gpus_per_scorer=0.5), cores=4, gpus=0)
    with pytest.raises(ConfigError, match="found no GPU"):
        cluster_budget(ScorerPool(gpus_per_scorer=1), [NodeSize(8, 0)])


def test_each_node_of_a_cluster_is_divided_like_a_machine() -> None:
    budget = cluster_budget(ScorerPool(), [NodeSize(0, 0), *[NodeSize(16, 0)] * 3])
    assert budget == Budget(48, 3, 16, 12, 0.0, 8, 2, elastic=True)


def test_small_nodes_only_decode_and_large_ones_hold_several_scorers() -> None:
    mixed = [NodeSize(1, 0), NodeSize(8, 0), NodeSize(8, 0), NodeSize(8, 0), NodeSize(17, 0)]
    budget = cluster_budget(ScorerPool(), mixed)
    assert (budget.scorers, budget.threads_per_scorer) == (5, 8)


def test_a_number_of_workers_fixes_the_pool() -> None:
    budget = cluster_budget(ScorerPool(4), [NodeSize(8, 0)] * 2)
    assert budget == Budget(16, 4, 4, 4, 0.0, 2, 2, elastic=False)


def test_gpus_of_a_cluster() -> None:
    nodes = [NodeSize(8, 2), NodeSize(16, 0)]
    assert cluster_budget(ScorerPool(), nodes) == Budget(24, 2, 1, 24, 1.0, 0, 1, elastic=True)
    shared = cluster_budget(ScorerPool(gpus_per_scorer=0.3), nodes)
    assert (shared.scorers, shared.gpus_per_scorer) == (6, 0.3)


@settings(derandomize=True, database=None)
@given(
    st.none() | st.integers(1, 40),
    st.lists(st.builds(NodeSize, st.integers(0, 200), st.just(0)), max_size=12),
)
def test_half_of_a_clusters_cpus_has_room_for_the_scorers(
    workers: int | None, nodes: list[NodeSize]
) -> None:
    budget = cluster_budget(ScorerPool(workers), nodes)
    cpus = sum(node.cpus for node in nodes)
    assert min(budget.scorers, budget.threads_per_scorer, budget.decoders) >= 1
    assert budget.cpus_per_decoder > 0
    if cpus:
        assert budget.scorers * budget.cpus_per_scorer <= cpus / 2 + 1e-6
        assert budget.cpus_per_scorer + budget.cpus_per_decoder <= cpus


@given(
    st.lists(st.builds(NodeSize, st.integers(1, 200), st.integers(0, 2)), min_size=1, max_size=9)
)
def test_an_elastic_pool_leaves_decoders_room_on_the_nodes_that_are_left(
    nodes: list[NodeSize],
) -> None:
    budget = cluster_budget(ScorerPool(), nodes)
    assert budget.for_nodes(nodes) == budget
    left = budget.for_nodes(nodes[:1])
    if not budget.gpus_per_scorer and nodes[0].cpus >= 2 * budget.cpus_per_scorer:
        assert left.scorers * budget.cpus_per_scorer <= nodes[0].cpus / 2
    assert left == replace(budget, scorers=left.scorers)
    fixed = cluster_budget(ScorerPool(2), nodes)
    assert fixed.for_nodes(nodes[:1]) == fixed


def test_cores_of_this_process() -> None:
    cores = available_cores()
    assert 1 <= cores <= (os.cpu_count() or cores)
    assert machine_budget() == machine_budget(cores=cores)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds processes")
def test_cores_that_were_taken_away_do_not_count() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_stages_of_actors_have_pools_of_one_size() -> None:
    plain, both = (machine_budget(cores=8, stages=stages) for stages in (1, 2))
    assert both == replace(plain, stages=2)
    assert both.alone().threads_per_scorer == 8
    on_gpus = machine_budget(cores=16, gpus=2, stages=2)
    assert (on_gpus.scorers, on_gpus.gpus_per_scorer, on_gpus.decoders) == (2, 0.5, 12)
    thirds = machine_budget(ScorerPool(3), cores=16, gpus=1, stages=2)
    assert thirds.scorers * thirds.stages * thirds.gpus_per_scorer <= 1


@pytest.mark.parametrize("pool", [ScorerPool(), ScorerPool(4)])
def test_stages_of_actors_fit_on_the_nodes_of_a_cluster(pool: ScorerPool) -> None:
    nodes = [NodeSize(16, 0)] * 3
    budget = cluster_budget(pool, nodes, stages=2)
    claimed = 2 * budget.scorers * budget.cpus_per_scorer
    assert claimed + budget.decoders * budget.cpus_per_decoder <= sum(node.cpus for node in nodes)
    if budget.elastic:
        assert [budget.for_nodes(nodes[:some]).scorers for some in (1, 2, 3)] == [1, 2, 3]
    on_gpus = cluster_budget(ScorerPool(), [NodeSize(8, 2)] * 2, stages=2)
    assert (on_gpus.scorers, on_gpus.gpus_per_scorer) == (4, 0.5)
    assert on_gpus.for_nodes([NodeSize(8, 2)]).scorers == 2
