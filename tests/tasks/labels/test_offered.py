from __future__ import annotations

import unicodedata

import pytest

from emi_model.errors import ConfigError
from tasks.labels.label_values import speaker_name
from tasks.labels.offered import Reading


@pytest.mark.parametrize(
    ("pattern", "clip_id", "speaker"),
    [
        ("{speaker}", "anna/day 1/000.wav", "anna"),
        ("{speaker}/*", "anna/000.wav", "anna"),
        ("*/{speaker}", "day 1/anna/000.wav", "anna"),
        ("*/{speaker}_*", "day 1/anna_000.wav", "anna"),
        ("session*/{speaker}-*", "session2/a.b-1.wav", "a.b"),
        ("id{speaker}", "id07/x.wav", "07"),
        ("*/{speaker}", "anna/000", "000"),
    ],
)
def test_a_speaker_in_the_path(pattern: str, clip_id: str, speaker: str) -> None:
    assert Reading(speaker_from=pattern).speaker_of(clip_id) == speaker


@pytest.mark.parametrize(
    ("pattern", "clip_id"), [("session*/{speaker}", "day/anna/0.wav"), ("*/{speaker}/*", "a/b.wav")]
)
def test_a_path_of_another_kind(pattern: str, clip_id: str) -> None:
    assert Reading(speaker_from=pattern).speaker_of(clip_id) is None


def test_a_speaker_is_one_however_the_accents_are_composed() -> None:
    composed, apart = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))
    assert Reading(speaker_from="{speaker}/*").speaker_of(f"{apart}/0.wav") == composed
    assert speaker_name(apart) == composed


def test_what_is_refused() -> None:
    for pattern in ("", "*", "{speaker}/{speaker}"):
        with pytest.raises(ConfigError, match=r"expected one \{speaker\}"):
            Reading(speaker_from=pattern)
    with pytest.raises(ConfigError, match="scale is 0"):
        Reading(scale=0)
