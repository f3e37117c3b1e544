from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pandas as pd
import pytest

import tasks.store
from emi_model.errors import ConfigError, QueryError, StoreError
from tasks.store.store import ResultsStore, open_store

Commit = Callable[..., None]
JOY = "SELECT clip_id, round(joy::DOUBLE, 1) AS joy FROM scores ORDER BY clip_id"


@pytest.fixture
def filled(store: ResultsStore, commit: Commit) -> ResultsStore:
    commit("one", "a.mp4", value=0.1)
    commit("two", "b.mp4", value=0.2)
    return open_store(store.location)


def test_a_question_and_a_view_as_arrow(filled: ResultsStore) -> None:
    assert filled.arrow(JOY).to_pydict() == {"clip_id": ["a.mp4", "b.mp4"], "joy": [0.1, 0.2]}
    assert filled.arrow("timeline").num_rows == 4
    with pytest.raises(QueryError, match="Did you mean"):
        filled.arrow("score")


def test_as_a_frame_of_pandas(filled: ResultsStore) -> None:
    frame = filled.pandas(JOY)
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict("list") == {"clip_id": ["a.mp4", "b.mp4"], "joy": [0.1, 0.2]}
    assert filled.pandas("scores").loc[0, "flags"].tolist() == []


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_missing_is_named_in_one_line(
    filled: ResultsStore, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=rf"^{library} is not installed.*\[frames\]") as caught:
        getattr(filled, library)(JOY)
    assert "\n" not in str(caught.value)


def test_one_import_is_enough_and_loads_nothing_before_it_is_used(filled: ResultsStore) -> None:
    assert tasks.store.open_store is open_store
    with pytest.raises(AttributeError, match=r"'tasks\.store' has no attribute 'open'"):
        _ = tasks.store.open
    with pytest.raises(StoreError, match="no results store here"):
        tasks.store.open_store(f"{filled.location}/scores")
    code = "import sys, tasks.store; print({'duckdb', 'pyarrow', 'pandas'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
