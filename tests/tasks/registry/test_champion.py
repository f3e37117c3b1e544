"""What a person did to the champion is remembered, and no other process undoes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emi_model.errors import RegistryError
from tasks.registry.champion import promote, promoting, rollback, was_rolled_back
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


def test_a_winner_is_promoted_over_the_champion_that_it_beat_and_over_no_other(
    registered: Callable[[int], list[str]],
) -> None:
    registered(3)
    one, two, three = list_versions("emi")
    with promoting(one, None) as promoted:
        assert find("1").aliases == ()
    assert (promoted.aliases, find("champion").number) == (("champion",), 1)

    recorded: list[int] = []
    promote("emi", 3)
    for over, was in ((one, "version 1"), (None, "none")):
        said = f"changed meanwhile, it was {was} and is version 3: version 2 is not promoted; run"
        with pytest.raises(RegistryError, match=said), promoting(two, over):
            recorded.append(two.number)
    promote("emi", 2)
    rollback("emi")
    with (
        pytest.raises(RegistryError, match="version 2 was rolled back meanwhile"),
        promoting(two, three),
    ):
        recorded.append(two.number)
    assert (recorded, find("champion").number) == ([], 3)
    with pytest.raises(KeyboardInterrupt), promoting(one, three):
        raise KeyboardInterrupt
    assert find("champion").number == 3
    with promoting(one, three):
        pass
    assert rollback("emi").number == 3
