"""Ten million generated rows: how long questions to a results store take, and in how much memory.

`EMI_BENCH_ROWS` sets another number of rows, `EMI_BENCH_STORE` names a store that `make_store` has
made and that stays as it is. Three models and forty runs, of which each scores one
clip of a hundred again; a million timelines, transcripts, and what drives a hundred thousand clips.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from emi_model.targets import EMI_TARGETS
from tasks.schema.registers import TABLE_SCHEMAS
from tasks.schema.standing import CURRENT_SCHEMA, MISSING_SCHEMA
from tasks.schema.tables import (
    ATTRIBUTIONS,
    CURRENT_MODEL,
    MISSING_CLIPS,
    SCORES,
    TIMELINE,
    TRANSCRIPTS,
)
from tasks.scoring.commit import RunStamp, Tally
from tasks.scoring.run_record import RunRecord, write_record
from tasks.store.query import answer, stored_question, stored_question_names
from tasks.store.store import ResultsStore, create_store, open_store
from tasks.store.views import connect
from tests.benchmarks.work import watch

Row = tuple[str, str]

EMI_HERE = (sys.executable, "-c", "from flows.cli.main import main; main()")

NUM_ROWS = int(os.environ.get("EMI_BENCH_ROWS", "10_000_000"))
NUM_RUNS, NUM_MODELS = 40, 3
AGAIN = 100
"""Of so many clips of a run one was scored before."""

START = datetime(2026, 1, 1, tzinfo=UTC)

EVERYTHING = "each_clip"
"""The question whose answer is all rows of a model, as a table in memory."""

OWN_QUESTIONS = {
    "mean by model": "SELECT model, avg(joy) FROM all_scores GROUP BY model",
    "mean by speaker": "SELECT split_part(clip_id, '/', 1), avg(joy) FROM scores GROUP BY 1",
    "top ten": "SELECT clip_id, joy FROM scores ORDER BY joy DESC LIMIT 10",
    "one clip": "FROM scores WHERE clip_id = 'speaker0042/00000042.mp4'",
}
PLAIN_QUESTIONS = {
    "mean by model": "SELECT model, avg(joy) FROM {scores} GROUP BY model",
    "mean by speaker": "SELECT split_part(clip_id, '/', 1), avg(joy) FROM {scores} "
    "WHERE model = 'model2' GROUP BY 1",
    "top ten": "SELECT clip_id, joy FROM {scores} WHERE model = 'model2' "
    "ORDER BY joy DESC LIMIT 10",
    "one clip": "FROM {scores} WHERE model = 'model2' AND clip_id = 'speaker0042/00000042.mp4'",
}

_CLIPS = """\
SELECT *, printf('speaker%04d/%08d.mp4', number // 100 % 10000, number) AS clip_id
FROM (
    SELECT CASE WHEN n % {again} = 0 AND {first} > 0 THEN n * 7 % {first} ELSE {first} + n END
        AS number, n
    FROM range({count}) AS numbers(n)
)"""

_SCORES = """\
SELECT *, 'file:///c/' || clip_id AS uri, md5(clip_id) AS content_sha256, 1000 + n % 999 AS bytes,
    if(number % 50 = 0, 'rejected', 'scored') AS status,
    if(number % 50 = 0, 'timeout', NULL) AS reason,
    CASE number % 40 WHEN 1 THEN ['silent'] WHEN 2 THEN ['truncated', 'clipped'] ELSE [] END
        AS flags,
    {values}, 6.9 AS duration_seconds, 6.9 AS scored_seconds, 345 AS num_frames, 'aac' AS codec,
    16000 AS sampling_rate, -20.0 - random() AS rms_dbfs, ['audio'] AS modalities
FROM ({clips})"""

_TIMELINE = """\
SELECT clip_id, second, random() AS arousal, random() AS dominance, random() AS valence,
    50 AS num_frames
FROM ({clips}), range(7) AS seconds(second)"""

_ATTRIBUTIONS = """\
SELECT clip_id, target, 'modality' AS kind, name, random() - 0.5 AS value, 0.3 AS base, 0.5 AS score
FROM ({clips}), unnest({targets}) AS t(target), unnest(['audio', 'text', 'vision']) AS m(name)"""

_TRANSCRIPTS = """\
SELECT clip_id, 'file:///c/' || clip_id AS uri, 'transcribed' AS status, [] AS flags,
    true AS has_speech, 'en' AS language, 5 AS num_words, 'tiny.en' AS asr_model,
    'cc' AS asr_sha256, 'key' AS asr_key, '{{}}' AS asr_settings, 6.9 AS duration_seconds,
    5.0 AS speech_seconds,
    if(n % 500 = 0, 'and then we had to laugh', 'I said ' || n || ' words to them') AS text
FROM ({clips})"""


def store(folder: Path, _model: Path) -> Iterator[Row]:
    """A store of ten million rows: opening, questions, compaction, before it and after."""
    results = folder / "results"
    started = time.perf_counter()
    if kept := os.environ.get("EMI_BENCH_STORE"):
        shutil.copytree(kept, results, copy_function=os.link)  # parts never change
        made = open_store(results)
    else:
        made = make_store(results, NUM_ROWS)
    yield "generated", f"{size_of(made)}, in {time.perf_counter() - started:.0f} s"
    yield from _questions(made, "as runs left it", few=True)
    command = [*EMI_HERE, "compact", "--results", str(results)]
    watched = watch(command)
    yield (
        "`emi compact`",
        f"{watched.seconds:.0f} s, {watched.peak_mib} MiB at most, now {size_of(made)}",
    )
    yield from _questions(made, "compacted")
    run_of_a_night(made, NUM_RUNS, NUM_ROWS // NUM_RUNS // 10, NUM_ROWS // NUM_MODELS // 2)
    yield from _questions(made, "and a night's run more", few=True)


def make_store(location: Path, num_rows: int) -> ResultsStore:
    """Generate a store of so many rows of scores."""
    made = create_store(location)
    for number in range(NUM_RUNS):
        runs_a_model = -(-NUM_RUNS // NUM_MODELS)
        model, place = divmod(number, runs_a_model)
        count = num_rows // NUM_RUNS
        last = min(NUM_RUNS, (NUM_MODELS - 1) * runs_a_model) + 4
        has_more = (NUM_MODELS - 1) * runs_a_model <= number < last
        _run(made, number, model, count, place * count, has_more=has_more)
    missing = [
        {"clip_id": f"speaker{n // 100:04d}/{n:08d}.mp4", "source": "/c", "missing_since": START}
        for n in range(0, num_rows // 10, 1000)
    ]
    made.replace(MISSING_CLIPS, pa.Table.from_pylist(missing, MISSING_SCHEMA))
    chosen = {"model": "model2", "model_sha256": f"{2:064x}", "coverage": "first"}
    chosen |= {"is_champion": True, "run_id": f"run{NUM_RUNS - 1:03d}", "since": START}
    made.replace(CURRENT_MODEL, pa.Table.from_pylist([chosen], CURRENT_SCHEMA))
    return made


def run_of_a_night(made: ResultsStore, number: int, count: int, first: int) -> None:
    """Commit a run of the last model over so many clips, from this one on."""
    _run(made, number, NUM_MODELS - 1, count, first, has_more=True)


def _run(
    made: ResultsStore, number: int, model: int, count: int, first: int, *, has_more: bool
) -> None:
    """Commit a run of one part; of the last model some have more than scores."""
    named = {"again": AGAIN, "first": first, "count": count}
    values = ", ".join(
        f"(if(number % 50 = 0, NULL, random()))::FLOAT AS {name}"
        for name in (
            *("admiration", "amusement", "determination", "empathic_pain", "excitement", "joy"),
            *("arousal", "dominance", "valence"),
        )
    )
    clips = _CLIPS.format(**named)
    wanted = {SCORES: _SCORES.format(clips=clips, values=values)}
    if has_more:
        few = _CLIPS.format(**named | {"count": count // 10})
        columns = [target.lower().replace(" ", "_") for target in EMI_TARGETS]
        wanted |= {
            TIMELINE: _TIMELINE.format(clips=clips),
            ATTRIBUTIONS: _ATTRIBUTIONS.format(clips=few, targets=columns),
            TRANSCRIPTS: _TRANSCRIPTS.format(clips=clips),
        }
    started_at = START + timedelta(days=number)
    run_id = f"run{number:03d}"
    same = {"model": f"model{model}", "model_sha256": f"{model:064x}", "coverage": "first"}
    same |= {"backbone_licence": "Apache-2.0", "run_id": run_id}
    times = {"scored_at": started_at, "transcribed_at": started_at}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SELECT setseed({number % 1000} / 1000)").fetchall()
        tables = {
            table: _under_schema(connection.sql(sql).to_arrow_table(), table, same | times)
            for table, sql in wanted.items()
        }
    made.commit(f"{run_id}-00000", tables)
    stamp = RunStamp(same["model"], same["model_sha256"], "first", run_id, "Apache-2.0", ())
    tally = Tally(scored=count)
    write_record(made, RunRecord(stamp, "/c", "fp32", started_at, num_listed=count), tally)


def _under_schema(rows: pa.Table, table: str, same: dict[str, object]) -> pa.Table:
    schema = TABLE_SCHEMAS[table]
    columns = []
    for field in schema:
        if field.name in rows.schema.names:
            columns.append(rows[field.name].cast(field.type))
        else:
            value = pa.scalar(same.get(field.name), field.type)
            columns.append(pa.repeat(value, rows.num_rows))
    return pa.table(columns, schema=schema)


def _questions(made: ResultsStore, state: str, *, few: bool = False) -> Iterator[Row]:
    opened = _median(lambda: _open(made))
    yield f"{state}: views of scores opened", f"{opened:.2f} s"
    if not few:
        yield f"{state}: all views opened", f"{_median(lambda: _open(made, None)):.2f} s"
    for name, sql in OWN_QUESTIONS.items():
        ours = _median(lambda sql=sql: answer(made.location, sql))
        plain = _median(lambda name=name: _plain(made, PLAIN_QUESTIONS[name]))
        yield f"{state}: {name}", f"{ours:.2f} s; DuckDB over the plain files {plain:.2f} s"
    for name in ["status"] if few else stored_question_names():
        yield f"{state}: {name}.sql", f"{_median(lambda n=name: _ask(made, n)):.2f} s"
    command = [sys.executable, "-m", "tests.benchmarks.store_scale", made.location]
    names = ["status"] if few else [one for one in stored_question_names() if one != EVERYTHING]
    watched = watch([*command, *names])
    asked = f"a process that asks all of these but {EVERYTHING}"
    yield f"{state}: {asked}", f"{watched.peak_mib} MiB at most"
    command = [*EMI_HERE, "status", "--results", made.location]
    seconds = _median(lambda: watch(command).seconds)
    yield f"{state}: `emi status`, the whole process", f"{seconds:.2f} s"


def _ask(made: ResultsStore, name: str) -> pa.Table:
    return answer(made.location, stored_question(name))


def _open(made: ResultsStore, views: tuple[str, ...] | None = (SCORES,)) -> None:
    with connect(made.location, **({} if views is None else {"views": views})):
        pass


def _plain(made: ResultsStore, sql: str) -> None:
    scores = f"read_parquet('{made.location}/scores/*.parquet', union_by_name = true)"
    with duckdb.connect() as connection:
        connection.sql(sql.format(scores=scores)).to_arrow_table()


def _median(work: Callable[[], object]) -> float:
    """Return the median seconds of three times, after one that warms up."""
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return sorted(seconds[1:])[1]


def size_of(made: ResultsStore) -> str:
    """Return parts and bytes of scores and timelines, in words."""
    parts = [part for table in (SCORES, TIMELINE) for part in made.parts(table)]
    scores = [part for part in parts if part.table == SCORES]
    return (
        f"scores: {len(scores)} parts, {sum(p.size for p in scores) / 2**20:,.0f} MiB; timelines: "
        f"{sum(p.size for p in parts if p.table == TIMELINE) / 2**20:,.0f} MiB"
    )


def main() -> None:
    """Ask ready questions, so that the memory of a process that does can be watched."""
    location, *names = sys.argv[1:]
    for name in names:
        answer(location, stored_question(name))


if __name__ == "__main__":
    main()
