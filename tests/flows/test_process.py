"""What is tried again: nothing but what can heal."""

import pytest
from prefect.states import Failed

from emi_model.errors import CheckpointError, ClusterError, CorpusError, LabelError, StoreError
from flows.process import RETRY_SECONDS, can_heal, score_task


def unreached():
    """What a store says of a bucket that does not answer; a disk's errors have a number."""
    error = StoreError("s3://bucket/store: cannot be written")
    error.__cause__ = OSError("s3://bucket: no answer")
    return error


def full():
    error = StoreError("/store: cannot be written")
    error.__cause__ = OSError(28, "no space left on device")
    return error


def heals(error):
    return can_heal(None, None, Failed(data=error))


def test_only_what_can_heal_is_tried_again(monkeypatch):
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "a server started it")
    assert heals(ClusterError("Ray did not start"))
    assert heals(unreached())
    for error in (full(), StoreError("locked"), CorpusError(), LabelError(), CheckpointError()):
        assert not heals(error)
    assert score_task.retries == len(RETRY_SECONDS) > 0
    assert score_task.retry_condition_fn is can_heal


@pytest.mark.parametrize("error", [ClusterError("Ray did not start"), unreached()])
def test_by_hand_nothing_is(monkeypatch, error):
    monkeypatch.delenv("PREFECT__RUNTIME__DEPLOYMENT__ID", raising=False)
    assert not heals(error)
