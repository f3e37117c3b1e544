from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasks.forgetting.forget import forget_clips, plan_forgetting
from tasks.schema.tables import SCORES
from tasks.scoring.commit import RunStamp, tables_of
from tasks.store.queries.latest import claims_of, sorted_parts
from tasks.store.query import answer
from tasks.store.readers import read_schemas
from tasks.store.store import ResultsStore

pytestmark = pytest.mark.usefixtures("machine")


def test_parts_stay_known_to_share_no_clip(
    store: ResultsStore,
    make_rows: Callable[..., Any],
    make_stamp: Callable[..., RunStamp],
) -> None:
    stamp = make_stamp()
    for name, number, apart in (("a", 1, []), ("b", 2, ["a"]), ("c", 3, ["a", "b"])):
        rows = make_rows(f"anna/{number}.mp4", f"ben/{number}.mp4")
        store.commit(name, tables_of(rows, stamp), apart_from=apart)
    store.commit("d", tables_of(make_rows("ben/4.mp4"), stamp))
    wanted, found = plan_forgetting(store.location, "anna/*", None)
    forget_clips(store.location, wanted, found.amount)
    parts = store.parts(SCORES)
    kinds = sorted_parts(parts, claims_of(read_schemas(store.folder, parts)))
    assert {part.name[:9] for part in kinds.apart} == {"a-without", "b-without", "c-without"}
    assert [part.name for part in kinds.loose] == ["d"]
    kept = answer(store.location, "SELECT clip_id FROM scores ORDER BY 1")
    assert kept["clip_id"].to_pylist() == [f"ben/{number}.mp4" for number in range(1, 5)]
