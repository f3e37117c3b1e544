"""kill -9 at 20 random moments of `emi forget`: is the table right, before and after the rerun?"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from emi_model.errors import CorpusError
from flows.cli.main import cli
from tasks.schema.registers import TABLE_SCHEMAS
from tasks.schema.tables import COMPARED_CLIPS, SCORES, TIMELINE, TRANSCRIPTS, WINDOWS
from tasks.store.query import answer
from tasks.store.store import ResultsStore, create_store
from tests.benchmarks.kills import ENDED_BEFORE, seconds_of_work
from tests.tasks.forgetting.forgettable import (
    cache_file,
    content_of,
    files_naming,
    filled_value,
    label,
)

Row = tuple[str, str]

NUM_PARTS, CLIPS_A_PART, SECONDS_A_CLIP = 20, 100, 7
NUM_KILLS = 20
WHO = "anna"
"""Every hundredth clip is of this speaker."""

_STAYING = f"""
SELECT count(*) AS n, count(DISTINCT clip_id) AS clips, bit_xor(hash(clip_id, content_sha256)) AS h
FROM {{table}} WHERE clip_id NOT LIKE '{WHO}/%'
"""


def forgetting(folder: Path, _: Path) -> Iterator[Row]:
    """Seconds to forget 20 of 2,000 clips, and kill -9 at random moments of it."""
    os.environ["EMI_HOME"] = str(folder / "home")
    whole = _made(folder / "whole")
    expected = _staying(whole)
    yield "clips, parts", f"{NUM_PARTS * CLIPS_A_PART:,}, {NUM_PARTS}; {_mib(folder / 'whole')} MiB"
    once = _copied(whole, folder / "once")
    working = _seconds_of_work(once, None)
    assert working is not None
    yield "`emi forget --speaker`", f"{working:.1f} s of work"
    rng, killed, left, wrong = random.Random(1), 0, 0, 0
    while killed < NUM_KILLS:
        store = _copied(whole, folder / "copy")
        if _seconds_of_work(store, rng.uniform(0, working)) is None:
            working *= ENDED_BEFORE
        else:
            killed, left = killed + 1, left + bool(_journals(store))
        wrong += _staying(store) != expected
        with redirect_stdout(io.StringIO()):
            forget_who(store.location)
        noted = answer(store.location, "FROM forgotten").num_rows
        wrong += _staying(store) != expected or noted != 1 or bool(files_naming(store.folder, WHO))
        shutil.rmtree(folder / "copy")
    yield f"kill -9 at {killed} random moments", f"{left} with work left; {wrong} tables WRONG"


def _made(folder: Path) -> ResultsStore:
    store = create_store(folder)
    for number in range(NUM_PARTS):
        first = number * CLIPS_A_PART
        clips = [_clip_id(place) for place in range(first, first + CLIPS_A_PART)]
        rows = {
            table: _rows(table, clips, SECONDS_A_CLIP if table == TIMELINE else 1)
            for table in (TIMELINE, WINDOWS, TRANSCRIPTS, SCORES)
        }
        store.commit(f"run{number:02}-00000", rows)
        store.record(COMPARED_CLIPS, f"run{number:02}", _rows(COMPARED_CLIPS, clips, 1))
    every = [_clip_id(place) for place in range(NUM_PARTS * CLIPS_A_PART)]
    label(store, *every)
    label(store, *every[::10])
    store.folder.write("logs/process-1.log", json.dumps(every[::1000]).encode())
    for clip_id in every[::50]:
        cache_file(Path(os.environ["EMI_HOME"]), content_of(clip_id))
    return store


def _clip_id(place: int) -> str:
    return f"{WHO if place % 100 == 0 else f'p{place % 50}'}/{place:06}.mp4"


def _rows(table: str, clips: list[str], times: int) -> pa.Table:
    schema = TABLE_SCHEMAS[table]

    def row(clip_id: str, number: int) -> dict[str, Any]:
        filled = {field.name: filled_value(field, clip_id) for field in schema}
        return filled | ({"second": number} if "second" in schema.names else {})

    rows = [row(clip_id, number) for clip_id in clips for number in range(times)]
    return pa.Table.from_pylist(rows, schema)


def _staying(store: ResultsStore) -> list[dict[str, Any]]:
    """Return count and hash of what stays, of the tables of clips."""
    return [
        answer(store.location, _STAYING.format(table=table)).to_pylist()[0]
        for table in ("all_scores", "all_transcripts")
    ] + answer(
        store.location,
        "SELECT count(*) AS n, bit_xor(hash(clip_id, second)) AS h FROM all_timeline "
        f"WHERE clip_id NOT LIKE '{WHO}/%'",
    ).to_pylist()


def _copied(whole: ResultsStore, folder: Path) -> ResultsStore:
    shutil.copytree(whole.location, folder)
    return ResultsStore(folder)


def _journals(store: ResultsStore) -> list[str]:
    return [file.name for file in store.folder.files("forgetting") if file.name.endswith(".json")]


def _seconds_of_work(store: ResultsStore, kill_after: float | None) -> float | None:
    return seconds_of_work(
        forget_who, store.location, begun=lambda: bool(_journals(store)), kill_after=kill_after
    )


def forget_who(location: str) -> None:
    """Do what `emi forget` does; an error where nothing is left to do."""
    with suppress(CorpusError):
        cli.main(
            ["forget", "--yes", "--results", location, "--speaker", WHO], standalone_mode=False
        )


def _mib(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 2**20
