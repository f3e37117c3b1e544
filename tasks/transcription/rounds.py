"""Several waveforms through one Whisper model of CTranslate2 at a time, each as if it were alone.

faster-whisper takes one waveform after the other, and of each one window after the other. Here it
works on several in threads; what they ask of the model is gathered, and once all of them wait it is
asked as one batch: a decoder, which writes token by token, takes less time for that, and so does a
GPU for all. No waveform sees anything of another.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


@dataclass(eq=False)
class _Question:
    """What one thread asks of the model, and the answer."""

    method: str
    states: Any
    prompt: list[int] | None
    options: dict[str, Any]
    answer: Any = None
    error: Exception | None = None
    is_answered: bool = field(default=False)

    @property
    def kind(self) -> tuple[object, ...]:
        """What questions must share to be asked as one.

        On a CPU every window is encoded by itself: the states of several fit no cache.
        """
        if self.method == "encode" and str(self.states.device) == "cpu":
            return (id(self),)
        length = None if self.prompt is None else len(self.prompt)
        return self.method, tuple(self.states.shape)[1:], length, repr(sorted(self.options.items()))


class RoundsOfQuestions:
    """Stands where faster-whisper has its ``ctranslate2.models.Whisper``.

    Outside of `work` it passes everything on.
    """

    def __init__(self, model: Any) -> None:
        """Take the model; all else that is asked of it is its own."""
        self._model = model
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._num_working = 1
        self._asked: list[_Question] = []

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the model."""
        return getattr(self._model, name)

    def work(self, function: Callable[[_Item], _Found], items: Sequence[_Item]) -> list[_Found]:
        """Return a function's results, all items in threads of their own at the same time."""
        with self._turn:
            if len(items) < 2:
                return [function(item) for item in items]
            self._num_working = len(items)
            with ThreadPoolExecutor(len(items)) as pool:
                results = list(pool.map(lambda item: self._at_work(function, item), items))
            self._num_working = 1
        return results

    def encode(self, features: Any, to_cpu: bool = False) -> Any:
        """Return the states of one window, (1, frames, D)."""
        return self._answer(_Question("encode", features, None, {"to_cpu": to_cpu}))

    def detect_language(self, states: Any) -> list[Any]:
        """Return the languages of one window with their probabilities, in a list."""
        return [self._answer(_Question("detect_language", states, None, {}))]

    def generate(self, states: Any, prompts: list[list[int]], **options: Any) -> list[Any]:
        """Return the tokens of one window, in a list."""
        return [self._answer(_Question("generate", states, prompts[0], options))]

    def _at_work(self, function: Callable[[_Item], _Found], item: _Item) -> _Found:
        try:
            return function(item)
        finally:
            with self._changed:
                self._num_working -= 1
                self._answer_if_all_wait()

    def _answer(self, question: _Question) -> Any:
        with self._changed:
            self._asked.append(question)
            self._answer_if_all_wait()
            self._changed.wait_for(lambda: question.is_answered)
        if question.error is not None:
            raise question.error
        return question.answer

    def _answer_if_all_wait(self) -> None:
        if not self._asked or len(self._asked) < self._num_working:
            return
        kinds = defaultdict(list)
        for question in self._asked:
            kinds[question.kind].append(question)
        self._asked = []
        for alike in kinds.values():
            self._ask(alike)
        self._changed.notify_all()

    def _ask(self, questions: Sequence[_Question]) -> None:
        """Ask as one; where that fails, as for want of memory, one after the other."""
        try:
            for question, answer in zip(questions, self._answers(questions), strict=True):
                question.answer = answer
        except Exception as error:  # noqa: BLE001 - raised again in the thread that asked
            if len(questions) == 1:
                questions[0].error = error
            else:
                for question in questions:
                    self._ask([question])
        for question in questions:
            question.is_answered = True

    def _answers(self, questions: Sequence[_Question]) -> Sequence[Any]:
        first = questions[0]
        method = getattr(self._model, first.method)
        if len(questions) == 1:
            given = [first.states] if first.prompt is None else [first.states, [first.prompt]]
            found = method(*given, **first.options)
            return [found] if first.method == "encode" else list(found)
        joined = _joined([question.states for question in questions])
        if first.method == "encode":
            return _parts(method(joined, **{**first.options, "to_cpu": True}), len(questions))
        prompts = [] if first.prompt is None else [[question.prompt for question in questions]]
        return list(method(joined, *prompts, **first.options))


def _joined(states: Sequence[Any]) -> Any:
    from ctranslate2 import StorageView

    return StorageView.from_array(np.concatenate([np.array(one) for one in states]))


def _parts(states: Any, count: int) -> list[Any]:
    from ctranslate2 import StorageView

    whole = np.array(states)
    return [StorageView.from_array(whole[number : number + 1].copy()) for number in range(count)]
