"""Corpus, labels, model and store in a bucket: killed, run again, twice at once, as on a disk."""

import csv
import json
import signal
import time

import psutil
import pytest

from tasks.storage.open import open_folder
from tasks.store.query import answer
from tasks.synthetic.corpus import LABELS_NAME
from tests.integration.conftest import rounded

ELSEWHERE = ("uri", "modified_ns")
"""What differs where a clip lies elsewhere."""


def table(results):
    rows = answer(
        results,
        f"SELECT * EXCLUDE (run_id, scored_at, {', '.join(ELSEWHERE)}) FROM scores ORDER BY ALL",
    ).to_pylist()
    return [{name: rounded(value) for name, value in row.items()} for row in rows]


def upload(folder, location):
    for path in folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            open_folder(location).write(name, path.read_bytes())


def wait_for_a_part(store, process):
    """Wait until a run has committed its first rows."""
    deadline = time.monotonic() + 120
    names = {"scores/empty.parquet"}
    while not {file.name for file in open_folder(store).files("scores")} - names:
        assert time.monotonic() < deadline, "waited in vain"
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


@pytest.fixture
def here(bucket, bucket_environment, launch):
    """Start the command with the bucket's environment."""
    return lambda *arguments, **extra: launch(*arguments, **bucket_environment, **extra)


def test_killed_then_run_again_by_two_at_once_the_table_is_as_on_a_disk(
    here, bucket, corpus, model, processed, slow_ffmpeg, served
):
    on_disk = processed.results
    upload(corpus, f"{bucket}/clips")
    upload(model, f"{bucket}/models/tiny")
    store = f"{bucket}/a store"
    arguments = ("process", f"{bucket}/clips", "--results", store, "--json")
    arguments += ("--model", f"{bucket}/models/tiny", "--coverage", "full")

    killed = here(*arguments, EMI_FFMPEG=slow_ffmpeg, **served)
    wait_for_a_part(store, killed)
    left = psutil.Process(killed.pid).children(recursive=True)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert psutil.wait_procs(left, timeout=20)[1] == []
    before = table(store)
    assert 0 < len(before) < len(table(on_disk))

    both = [here(*arguments, **served) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        assert json.loads(out)["num_listed"] == len(table(on_disk))
    assert table(store) == table(on_disk)
    for companion in ("timeline", "windows"):
        count = f"SELECT count(*) FROM {companion}"
        assert answer(store, count).to_pylist() == answer(on_disk, count).to_pylist()
    states = answer(store, "SELECT state FROM runs ORDER BY started_at")["state"].to_pylist()
    assert states == ["running", "completed", "completed"]  # the first was alive a moment ago

    asked = here("query", "SELECT count(*) AS n FROM scores", "--results", store, "--format", "csv")
    assert asked.communicate(timeout=60)[0] == f"n\n{len(table(on_disk))}\n"


def test_two_who_add_labels_at_once_both_do(here, bucket, corpus):
    upload(corpus, f"{bucket}/clips")
    with (corpus / LABELS_NAME).open(newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    speaker = header.index("speaker")
    speakers = sorted({line[speaker] for line in lines})
    first_half = [line for line in lines if line[speaker] in speakers[:3]]
    halves = [first_half, [line for line in lines if line not in first_half]]
    for number, half in enumerate(halves):
        text = "\n".join(map(",".join, [header, *half])) + "\n"
        open_folder(bucket).write(f"labels/{number}.csv", text.encode())
    adding = [
        here(
            *("labels", "add", f"{bucket}/labels/{number}.csv"),
            *("--corpus", f"{bucket}/clips", "--store", f"{bucket}/store"),
        )
        for number in range(2)
    ]
    for process in adding:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    told = answer(
        f"{bucket}/store", "SELECT num_rows, num_clips FROM label_snapshots ORDER BY number"
    )
    first, second = told.to_pylist()
    assert {first["num_rows"], second["num_rows"]} == set(map(len, halves))
    assert second["num_clips"] == len(lines)
