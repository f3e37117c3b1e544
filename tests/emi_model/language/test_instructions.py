"""Pairs of questions and answers, and the figures of answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emi_model.language.instructions import clues_of, coarse, fine, named_in
from emi_model.language.overlap import mean_with_interval, shared_f1

NAMES = st.frozensets(st.sampled_from(["joy", "empathic pain", "pitch high", "pitch low"]))


def test_coarse_and_fine_answers():
    vectors = {"audio": np.zeros(2, np.float32)}
    plain = coarse(vectors, "joy", "oh well")
    assert (plain.answer, plain.labels, plain.clues) == ("joy .", {"joy"}, frozenset())
    assert plain.after == (
        "</feature> the person says : oh well . [emotion] which emotion is it ? [/INST]"
    )
    why = fine(vectors, "joy", ["pitch high", "loudness low"])
    assert why.answer == "joy : loudness low , pitch high ."
    assert why.clues == {"pitch high", "loudness low"}
    assert fine(vectors, "joy", []).answer == "joy ."
    assert "says" not in why.after


def test_cues_are_what_lies_off_the_mean():
    mean, sd = {"pitch": 200.0, "loudness": -20.0, "pause": 1.0}, {}
    sd = {"pitch": 20.0, "loudness": 4.0, "pause": 0.0}
    measured = {"pitch": 230.0, "loudness": -25.0, "pause": 9.0}
    assert clues_of(measured, mean, sd) == ["pitch high", "loudness low"]
    assert clues_of({"pitch": 205.0, "loudness": float("nan")}, mean, sd) == []


def test_names_are_found_as_whole_words():
    found = named_in("Joy : pitch high, joyful.", ["joy", "awe"], ["pitch high", "pitch low"])
    assert found == ({"joy"}, {"pitch high"})
    assert named_in("joyful pitch . high", ["joy"], ["pitch low"]) == (frozenset(), frozenset())


@given(NAMES, NAMES)
def test_overlap_is_symmetric_and_one_only_for_the_same(one, other):
    assert shared_f1(one, other) == shared_f1(other, one)
    assert (shared_f1(one, other) == 1) == (one == other)
    assert 0 <= shared_f1(one, other) <= 1


def test_an_interval_is_that_of_the_mean():
    values = np.random.default_rng(0).integers(0, 2, 400).tolist()
    found = mean_with_interval(values)
    width = 1.96 * 0.5 / 20
    assert found.mean == np.mean(values)
    assert found.low == pytest.approx(found.mean - width, abs=0.01)
    assert found.high == pytest.approx(found.mean + width, abs=0.01)
    speakers = [str(place // 200) for place in range(400)]
    by_speaker = mean_with_interval([1.0] * 200 + [0.0] * 200, speakers)
    assert (by_speaker.low, by_speaker.high) == (0.0, 1.0)
