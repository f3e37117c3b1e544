from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from ctranslate2 import StorageView
from hypothesis import given
from hypothesis import strategies as st

from tasks.transcription.rounds import RoundsOfQuestions
from tasks.transcription.transcriber import Transcriber
from tests.spoken import spoken

SENTENCES = (
    "I would like to thank you for your help with this project.",
    "We have waited for the teacher all day long, and now she is here.",
)


class TestExactness:
    def test_what_is_said_is_the_same_alone_and_beside_others(
        self, transcriber: Transcriber
    ) -> None:
        waveforms = [spoken(sentence) for sentence in SENTENCES]
        longer = np.concatenate([spoken(sentence) for sentence in SENTENCES * 4])
        waveforms += [np.zeros(16_000, np.int16), longer]
        alone = [transcriber(waveform) for waveform in waveforms]
        together = transcriber.all_of(waveforms)
        assert len(longer) > 30 * 16_000, "two windows"
        for one, other in zip(alone, together, strict=True):
            assert not isinstance(other, RuntimeError)
            assert (one.text, one.language) == (other.text, other.language)
            assert one.speech_seconds == other.speech_seconds
            for segment, beside in zip(one.segments, other.segments, strict=True):
                assert segment.start_seconds == beside.start_seconds
                assert segment.end_seconds == beside.end_seconds
                close = pytest.approx(segment.mean_log_probability, abs=1e-4)
                assert beside.mean_log_probability == close
        assert "teacher" in together[1].text  # type: ignore[union-attr]


@dataclass
class Doubling:
    """Stands for a model that doubles states; counts the rows of each call."""

    most: int = 100
    rows: list[tuple[str, int]] = field(default_factory=list)
    device: str = "cpu"

    def encode(self, features: StorageView, to_cpu: bool = False) -> StorageView:
        found = self._noted("encode", features)
        return StorageView.from_array(2 * found)

    def generate(
        self, states: StorageView, prompts: list[list[int]], **options: Any
    ) -> list[tuple[float, int, Any]]:
        found = self._noted("generate", states)
        return [
            (float(row.sum()), prompt[0], options.get("beam"))
            for row, prompt in zip(found, prompts, strict=True)
        ]

    def detect_language(self, states: StorageView) -> list[float]:
        return [float(row.sum()) for row in self._noted("detect_language", states)]

    def _noted(self, method: str, states: StorageView) -> np.ndarray:
        found = np.array(states)
        self.rows.append((method, len(found)))
        if len(found) > self.most:
            raise RuntimeError("out of memory")
        return found


def view(number: float) -> StorageView:
    return StorageView.from_array(np.full((1, 2, 3), number, np.float32))


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3), st.booleans()), max_size=8))
def test_each_gets_its_own_answer_however_many_windows_it_has(
    items: list[tuple[int, int, bool]],
) -> None:
    rounds = RoundsOfQuestions(Doubling())

    def work(item: tuple[int, int, bool]) -> list[Any]:
        number, windows, is_wide = item
        found: list[Any] = []
        for window in range(windows):
            states = rounds.encode(view(number + window))
            found += rounds.detect_language(states)
            found += rounds.generate(states, [[number]], beam=1 + is_wide)
        return found

    expected = [
        [
            value
            for window in range(windows)
            for value in (
                12.0 * (number + window),
                (12.0 * (number + window), number, 1 + is_wide),
            )
        ]
        for number, windows, is_wide in items
    ]
    assert rounds.work(work, items) == expected


def test_questions_of_one_kind_are_asked_as_one() -> None:
    model = Doubling()
    rounds = RoundsOfQuestions(model)

    def work(number: int) -> Any:
        return rounds.generate(rounds.encode(view(number)), [[number]], beam=number % 2)

    rounds.work(work, range(6))
    assert model.rows == [*[("encode", 1)] * 6, ("generate", 3), ("generate", 3)]
    assert rounds.device == "cpu"
    model.rows.clear()
    assert work(4) == [(48.0, 4, 0)]
    assert model.rows == [("encode", 1), ("generate", 1)], "outside of work each is asked at once"


def test_without_memory_for_all_each_is_asked_alone_and_only_who_fails_fails() -> None:
    model = Doubling(most=1)
    rounds = RoundsOfQuestions(model)

    def work(number: int) -> Any:
        if number == 2:
            raise KeyError(number)
        return rounds.generate(view(number), [[number]])

    assert rounds.work(work, [1, 3]) == [[(6.0, 1, None)], [(18.0, 3, None)]]
    assert [rows for _, rows in model.rows] == [2, 1, 1]
    with pytest.raises(KeyError):
        rounds.work(work, [1, 2, 3])
    model.most = 0
    with pytest.raises(RuntimeError, match="out of memory"):
        rounds.work(work, [1, 3])
