from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emi_model.errors import ConfigError
from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name, validate_targets


def test_orders_are_those_of_challenge_and_public_model() -> None:
    assert EMI_TARGETS == (
        "Admiration",
        "Amusement",
        "Determination",
        "Empathic Pain",
        "Excitement",
        "Joy",
    )
    assert VAD_DIMENSIONS == ("arousal", "dominance", "valence")


@pytest.mark.parametrize(
    ("target", "column"),
    [
        ("Joy", "joy"),
        ("Empathic Pain", "empathic_pain"),
        ("  Empathic -- Pain ", "empathic_pain"),
        ("Awe/Fear", "awe_fear"),
        ("Überraschung", "überraschung"),
        ("__x__", "x"),
        ("?!", ""),
    ],
)
def test_column_name(target: str, column: str) -> None:
    assert column_name(target) == column


@given(st.text("aZ_9 -/.?!\t\nÄßİ漢٣²ªe\u0301\u200b\U0001f600", max_size=30))
def test_a_column_name_is_its_own_column_name(target: str) -> None:
    column = column_name(target)
    assert re.fullmatch(r"\w*", column)
    assert column_name(column) == column


def test_valid_targets_keep_their_order() -> None:
    assert validate_targets(EMI_TARGETS) == EMI_TARGETS
    assert validate_targets(["Joy", "Awe"]) == ("Joy", "Awe")
    assert validate_targets([]) == ()


@pytest.mark.parametrize(
    "targets",
    [
        ["Joy", "Joy"],
        ["Joy", "JOY "],
        ["Empathic Pain", "empathic-pain"],
        ["Joy", ""],
        ["Joy", "!"],
        ["Valence"],
        ["arousal "],
    ],
)
def test_targets_without_a_column_of_their_own_are_refused(targets: list[str]) -> None:
    with pytest.raises(ConfigError, match="a name of its own"):
        validate_targets(targets)
