"""What a person did to the champion is remembered, and no other process undoes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.registry.champion import promote, rollback, was_rolled_back
from tasks.registry.client import mlflow_client
from tasks.registry.registry import find, list_versions

pytestmark = pytest.mark.usefixtures("emi_home")


def test_a_version_that_lost_its_title_by_hand_is_remembered_until_it_is_promoted(
    registered: Callable[[int], list[str]],
) -> None:
    registered(3)

    def lost() -> list[int]:
        now = find("champion")
        return [version.number for version in list_versions("emi") if was_rolled_back(version, now)]

    promote("emi", 1)
    # killed between the history and the alias
    mlflow_client().set_registered_model_tag("emi", "champions", "[1, 2]")
    assert lost() == []
    promote("emi", 2)
    assert rollback("emi").number == 1
    assert lost() == [2]
    promote("emi", 3)
    assert lost() == [2]
    promote("emi", 1)  # another way back
    assert lost() == [2, 3]
    promote("emi", 2)
    assert lost() == []
    assert not was_rolled_back(find("3"), None)
