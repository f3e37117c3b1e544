from __future__ import annotations

import html
import json
import time
import unicodedata
from pathlib import Path

import pytest
from markupsafe import escape

from tasks.forgetting.spelling import Spellings

NAME = "anna/clip ü'1 & 2.mp4"


@pytest.mark.parametrize(
    "spelled",
    [
        NAME,
        unicodedata.normalize("NFD", NAME),
        Path("/c", NAME).as_uri(),
        json.dumps(NAME)[1:-1],
        repr(NAME)[1:-1],
        html.escape(NAME),
        str(escape(NAME)),
        f"/c/{NAME}",
        f"s3://bucket/c/{NAME}",
    ],
)
def test_a_name_is_found_however_it_is_spelled(spelled: str) -> None:
    spellings = Spellings([NAME, Path("/c", NAME).as_uri()])
    text = f"lost {spelled}: no answer, {spelled}"
    assert spellings.are_in(text)
    left = spellings.taken_from(text)
    assert "anna" not in left
    assert left.startswith("lost ")
    assert left.endswith("[forgotten]")


def test_a_name_in_another_stays() -> None:
    spellings = Spellings(["1.mp4", "a-b"])
    for other in ("11.mp4", "x1.mp4", "1.mp4.txt", "1.mp4a", "-1.mp4", "a-b-c", "xa-b"):
        assert spellings.taken_from(f"see {other}.") == f"see {other}."
        assert not spellings.are_in(other)
    assert spellings.taken_from("'1.mp4', 1.mp4. a-b") == (
        "'[forgotten]', [forgotten]. [forgotten]"
    )


def test_all_texts_of_a_value() -> None:
    value = {"a": ["1.mp4", 1, None], "b": [("by 1.mp4", 2)]}
    assert Spellings(["1.mp4"]).taken_from_value(value) == {
        "a": ["[forgotten]", 1, None],
        "b": [("by [forgotten]", 2)],
    }


def test_many_names_in_a_long_text() -> None:
    names = [f"speaker{number:05}/clip.mp4" for number in range(10_000)]
    text = "".join(f"a line about speaker{number:05}/clip.mp4\n" for number in range(0, 12_000, 10))
    began = time.process_time()
    left = Spellings(names).taken_from(text)
    assert left.count("[forgotten]") == 1_000
    assert time.process_time() - began < 2  # not names times letters
