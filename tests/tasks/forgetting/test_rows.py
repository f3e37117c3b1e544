from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from tasks.forgetting.forget import forget_clips, plan_forgetting
from tasks.schema.explanations import EXPLANATIONS_SCHEMA
from tasks.schema.tables import EXPLANATIONS, SCORES
from tasks.scoring.commit import RunStamp, tables_of
from tasks.store.paths import file_name
from tasks.store.queries.latest import claims_of, sorted_parts
from tasks.store.query import answer
from tasks.store.readers import read_schemas
from tasks.store.store import ResultsStore
from tests.tasks.forgetting.forgettable import ANNA, BEN, content_of, filled_value, label

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


def test_explanations_are_known_by_their_files(
    store: ResultsStore, commit: Callable[..., None]
) -> None:
    label(store, ANNA, BEN, "copy.mp4", "original.mp4")  # the last two have one content
    commit("one", "anna/3.mp4", uri="file:///c/anna/3.mp4")
    typed = {
        "../anna.mp4": (content_of(ANNA), "file:///moved/anna.mp4"),
        "films/3.mp4": (None, "file:///c/anna/3.mp4"),
        "2.mp4": (content_of(BEN), "file:///c/ben/2.mp4"),
        "one of two.mp4": (content_of("copy.mp4"), "file:///c/one of two.mp4"),
    }
    rows = [
        {field.name: filled_value(field, name) for field in EXPLANATIONS_SCHEMA}
        | {"content_sha256": content, "uri": uri}
        for name, (content, uri) in typed.items()
    ]
    store.writer.put(
        file_name(EXPLANATIONS, "run1"), pa.Table.from_pylist(rows, EXPLANATIONS_SCHEMA)
    )
    for pattern in ("anna/*", "copy.mp4"):
        wanted, found = plan_forgetting(store.location, pattern, None)
        forget_clips(store.location, wanted, found.amount)
    kept = answer(store.location, "SELECT clip_id FROM explanations ORDER BY 1")
    assert kept["clip_id"].to_pylist() == ["2.mp4", "one of two.mp4"]
