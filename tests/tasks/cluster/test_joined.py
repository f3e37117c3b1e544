from __future__ import annotations

import pytest

from emi_model.devices import available_cores
from tasks.cluster.budget import NodeSize
from tasks.cluster.joined import joined_cluster, joins, machines


@pytest.fixture(autouse=True)
def no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name no cluster."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_without_an_address_there_is_this_machine() -> None:
    assert not joins()
    with joined_cluster():  # starts nothing
        assert [machine.cpus for machine in machines()] == [available_cores()]
        assert isinstance(machines()[0], NodeSize)


def test_what_is_named_holds_for_all_that_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert joins()
    assert not joins("local")
    with joined_cluster("local"):
        assert not joins()
    assert joins()
