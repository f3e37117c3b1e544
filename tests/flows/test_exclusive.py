import inspect
import threading
import time
from typing import Annotated

import pytest
from pydantic import Field

from emi_model.errors import StoreError
from flows.exclusive import _HELD, ONE_AT_A_TIME, exclusive, machine_lock, store_lock
from tasks.progress import Observer, observed_by
from tasks.store.store import create_store

Count = Annotated[int, Field(ge=1)]


@exclusive
def counted(number: Count = 1, *, name: str = "a") -> str:
    """Count."""
    return name * number


class Stages(Observer):
    """Keeps the stages that it is told of."""

    def __init__(self):
        self.seen = []

    def begin(self, stage, total, unit):
        self.seen.append(stage)


def test_a_heavy_function_is_seen_through():
    assert counted(2, name="b") == "bb"
    assert inspect.getdoc(counted) == "Count."
    parameters = inspect.signature(counted).parameters
    assert parameters["number"].annotation == Count
    assert parameters["name"].annotation is str


def test_where_runs_take_turns_one_goes_on_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setenv("EMI_HOME", str(tmp_path))
    monkeypatch.setenv(ONE_AT_A_TIME, "1")
    done, stages = [], Stages()

    def second():
        _HELD.clear()  # as in another process
        with observed_by(stages), machine_lock():
            done.append("second")

    with machine_lock():
        with machine_lock():  # a flow within a flow
            thread = threading.Thread(target=second)
            thread.start()
            time.sleep(0.1)
        done.append("first")
    thread.join()
    assert done == ["first", "second"]
    assert stages.seen == ["waiting for another run"]


def test_by_hand_nobody_waits(tmp_path, monkeypatch):
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "none"))
    monkeypatch.delenv(ONE_AT_A_TIME, raising=False)
    with machine_lock():
        pass
    assert not (tmp_path / "none").exists()


def test_a_store_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.exclusive.LOOK_SECONDS", 0.01)
    store, stages = create_store(tmp_path / "store"), Stages()
    with store.lock():
        with pytest.raises(StoreError, match="another run"), store_lock(store, 0):
            pass
        with pytest.raises(StoreError, match="another run"), store_lock(store, 0.0005):
            pass
        threading.Timer(0.1, lambda: None).start()
    held = store.lock()
    held.__enter__()
    release = threading.Timer(0.1, held.__exit__, (None, None, None))
    release.start()
    with observed_by(stages), store_lock(store, 1):
        assert "waiting for another run" in stages.seen
    release.join()


def test_what_goes_wrong_inside_is_not_waited_for(tmp_path):
    store = create_store(tmp_path / "store")
    with pytest.raises(StoreError, match="full"), store_lock(store, 1):
        raise StoreError("the disk is full")
    with store.lock():
        pass
