from __future__ import annotations

import math

import pytest

from tasks.labels.label_values import is_missing, share_of, speaker_name


@pytest.mark.parametrize(
    ("cell", "scale", "share"),
    [
        ("0.5", 1, 0.5),
        (" 0,5 ", 1, 0.5),
        ("1.0000000000000002", 1, 1.0),
        ("-0.0000001", 1, 0.0),
        ("85", 100, 0.85),
        ("100.0", 100, 1.0),
    ],
)
def test_a_label(cell: str, scale: float, share: float) -> None:
    assert share_of(cell, scale) == share


@pytest.mark.parametrize("cell", ["1.01", "-0.01", "1,000.5", "much", "", "nan", "inf", "0x1"])
def test_what_is_no_label(cell: str) -> None:
    assert math.isnan(share_of(cell))


def test_what_is_missing() -> None:
    assert all(map(is_missing, ["", " ", "NA", "n/a", "NaN", "null", "None"]))
    assert not any(map(is_missing, ["0", "much", "inf"]))


def test_a_speakers_number_is_written_without_decimals() -> None:
    assert list(map(speaker_name, ["1.0", "01", "1.5", "anna", "1.00"])) == [
        "1", "01", "1.5", "anna", "1",
    ]  # fmt: skip
