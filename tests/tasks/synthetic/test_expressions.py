from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emi_model.targets import EMI_TARGETS
from tasks.synthetic.expressions import (
    PHRASES,
    VAD_OF_TARGETS,
    Expression,
    draw_expression,
    speech_segments,
)
from tasks.synthetic.voice import Segment

PLAIN = Expression(np.zeros(6), np.zeros(3))


@given(st.one_of(st.none(), st.integers(0, 5)), st.integers(0, 2**32))
def test_expressions_are_sparse_shares(leader: int | None, seed: int) -> None:
    expression = draw_expression(leader, np.random.default_rng(seed))
    assert ((expression.intensities >= 0) & (expression.intensities <= 1)).all()
    assert expression.intensities.sum() <= 1.02  # three roundings to 0.01
    assert np.count_nonzero(expression.intensities) <= 3
    assert (np.abs(expression.offsets) <= 1).all()
    if leader is None:
        assert not expression.intensities.any()
    else:
        assert expression.intensities[leader] == expression.intensities.max() > 0


@given(st.integers(0, 2**32))
def test_vad_lies_in_its_range(seed: int) -> None:
    vad = draw_expression(seed % 6, np.random.default_rng(seed)).vad()
    assert vad.shape == (3,)
    assert ((vad >= 0) & (vad <= 1)).all()


def test_vad_follows_the_table() -> None:
    assert PLAIN.vad() == pytest.approx([0.40, 0.45, 0.45])
    half_joy = Expression(np.array([0, 0, 0, 0, 0, 0.5]), np.array([1.0, 0.0, -1.0]))
    assert half_joy.vad() == pytest.approx([0.40 + 0.075 + 0.12, 0.475, 0.45 + 0.225 - 0.12])
    assert VAD_OF_TARGETS.shape == (3, len(EMI_TARGETS)) == (3, len(PHRASES) - 1)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.floats(2.5, 8.0))
def test_speech_lasts_about_as_long_as_asked(seed: int, seconds: float) -> None:
    rng = np.random.default_rng(seed)
    segments = speech_segments(draw_expression(seed % 6, rng), seconds, rng)
    assert seconds <= sum(segment.seconds for segment in segments) < seconds + 1.5


def test_an_intensity_is_a_share_of_the_speaking_time() -> None:
    # a sigh is the only sound that is dark and shakes
    shares: list[float] = []
    for intensity in (0.0, 0.3, 0.6, 1.0):
        expression = Expression(np.array([0, 0, 0, intensity, 0, 0]), np.zeros(3))
        segments = speech_segments(expression, 60.0, np.random.default_rng(0))
        sighs = sum(segment.seconds for segment in segments if segment.tilt < 0)
        spoken = sum(s.seconds for s in segments if s.voicing or s.breath or s.hiss)
        shares.append(sighs / spoken)
    assert shares == pytest.approx([0.0, 0.3, 0.6, 1.0], abs=0.05)


@pytest.mark.parametrize(
    ("leaning", "measure", "rises"),
    [
        (0, lambda segments: np.mean([s.seconds for s in segments if s.voicing]), False),
        (1, lambda segments: np.mean([s.seconds for s in segments if not s.voicing]), False),
        (2, lambda segments: np.std([s.semitones[0] for s in segments if s.voicing]), True),
    ],
)
def test_each_leaning_can_be_heard(
    leaning: int, measure: Callable[[list[Segment]], float], rises: bool
) -> None:
    heard: list[float] = []
    for value in (-1.0, 1.0):
        offsets = np.zeros(3)
        offsets[leaning] = value
        expression = Expression(np.array([0, 0, 0.5, 0, 0.5, 0]), offsets)
        heard.append(measure(speech_segments(expression, 20.0, np.random.default_rng(0))))
    assert (heard[1] > heard[0] * 1.2) if rises else (heard[1] < heard[0] / 1.2)
