from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError, WorkerCrashedError

from emi_model.targets import EMI_TARGETS
from emi_model.units import SAMPLING_RATE
from tasks.cluster.connection import OBJECT_STORE_BYTES, OBJECT_STORE_BYTES_PER_GPU
from tasks.scoring.passes import MAX_STORE_SHARE, suspects_of, waiting_bytes
from tasks.scoring.score_clips import scoring_work
from tasks.scoring.settings import ScoringSettings
from tasks.scoring.stages.ledger import EXTRACT, SCORE, Ledger, Worker
from tasks.scoring.stages.stage import CLIPS_PER_GPU_BATCH


class Answering:
    """Calls a ledger in this process as Ray's handle of one is called."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def __getattr__(self, name: str) -> Any:
        def remote(*arguments: Any) -> Any:
            answer: Future[Any] = Future()
            answer.set_result(getattr(self.ledger, name)(*arguments))
            return SimpleNamespace(future=lambda: answer)

        return SimpleNamespace(remote=remote)


def raised(cause: Exception) -> RayError:
    """Return the error that Ray raises for one that a task raised."""
    error: RayError = RayTaskError("extract_block", "a traceback", cause).as_instanceof_cause()
    return error


ACTOR = "ab" * 16
UNAVAILABLE = ActorUnavailableError("no answer", bytes.fromhex(ACTOR))


@pytest.mark.parametrize(
    ("error", "accused", "suspects"),
    [
        (WorkerCrashedError(), None, ["1", "2"]),
        (UNAVAILABLE, None, ["3"]),
        (ActorUnavailableError("no answer", b"\x01" * 16), None, ["3", "4"]),  # it did not start
        (raised(UNAVAILABLE), None, []),  # of the ledger, which a decoder asked
        (raised(ValueError("odd")), Worker(SCORE, "b"), ["3"]),
        (raised(ValueError("odd")), None, []),
    ],
)
def test_only_clips_of_the_worker_that_died_or_raised_are_suspected(
    error: RayError, accused: Worker | None, suspects: list[str]
) -> None:
    ledger = Ledger()
    ledger.take(Worker(EXTRACT, "a"), ["1", "2"])
    ledger.take(Worker(SCORE, "b"), ["3"])
    ledger.take(Worker("transcribe", "c"), ["4"])
    ledger.enlist(SCORE, ACTOR, "its handle")
    if accused is not None:
        ledger.accuse(accused)
    work = scoring_work(ScoringSettings("m", EMI_TARGETS, 12.0, "first", "fp32"))
    if error is not UNAVAILABLE and isinstance(error, ActorUnavailableError):
        work = replace(work, stages=(*work.stages, replace(work.stages[0], name="transcribe")))
    assert suspects_of(Answering(ledger), error, work) == suspects


@pytest.mark.parametrize("gpus", [0, 1, 8])
def test_a_store_started_here_holds_what_may_wait_between_the_stages(gpus):
    store = OBJECT_STORE_BYTES + gpus * OBJECT_STORE_BYTES_PER_GPU

    assert waiting_bytes(gpus) <= MAX_STORE_SHARE * store


def test_two_blocks_of_a_scorer_on_a_gpu_leave_room_for_the_decoders():
    longest = 12 * SAMPLING_RATE * 2

    assert waiting_bytes(1) > 2 * 2 * CLIPS_PER_GPU_BATCH * longest
