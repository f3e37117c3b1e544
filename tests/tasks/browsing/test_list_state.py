"""The address bar holds the state of the list."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from tasks.browsing.list_state import ListState, state_of_address

FACETS, SORTABLE = ("status", "reason"), ("clip_id", "joy")


def read(query: str) -> tuple[ListState, list[str]]:
    return state_of_address(parse_qsl(query, keep_blank_values=True), FACETS, SORTABLE)


@pytest.mark.parametrize(
    "state",
    [
        ListState(),
        ListState(search="a&b=c <i>", sql="joy > 0.5 -- 100 %\nAND 1", page=3),
        ListState(
            sort="joy", descending=True, chosen={"status": ("scored", ""), "reason": ("a+b",)}
        ),
        ListState(sort="clip_id", search="Zoë/ü 中"),
    ],
)
def test_there_and_back(state: ListState) -> None:
    assert read(state.query) == (state, [])
    assert state.address == ("/?" + state.query if state.query else "/")


def test_what_does_not_fit_is_passed_over_in_words() -> None:
    state, notes = read("status=scored&condition=alone&sort=anger&page=-2&page=x&clip=a&q=")
    assert state == ListState(chosen={"status": ("scored",)})
    assert notes == [
        "This store knows nothing of condition=alone: it was passed over.",
        "This store knows nothing of sort=anger: it was passed over.",
        "This store knows nothing of page=-2: it was passed over.",
        "This store knows nothing of page=x: it was passed over.",
    ]


def test_clicks() -> None:
    state = ListState(page=7).toggled("status", "scored").toggled("status", "rejected")
    assert state == ListState(chosen={"status": ("scored", "rejected")})
    assert state.toggled("status", "scored").toggled("status", "rejected") == ListState()
    first = ListState(page=7).sorted_by("joy")
    assert (first.sort, first.descending, first.page) == ("joy", True, 1)
    assert not first.sorted_by("joy").descending
    assert not ListState().sorted_by("clip_id").descending
    assert read("page=99999999999999999999")[0].page == 10**9
