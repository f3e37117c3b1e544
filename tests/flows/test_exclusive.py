import inspect
import threading
import time
from typing import Annotated

from pydantic import Field

from flows.exclusive import _HELD, ONE_AT_A_TIME, exclusive, machine_lock
from tasks.progress import Observer, observed_by

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


def test_an_exclusive_function_keeps_its_signature():
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
