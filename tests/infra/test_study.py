"""The notebook of the docs runs from its first cell to its last, in a small made study."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.metadata.add_metadata import add_metadata, add_speakers
from tasks.schema.registers import TABLE_SCHEMAS
from tasks.schema.tables import SCORES, TIMELINE
from tasks.store.store import create_store

NOTEBOOK = Path(__file__).resolve().parents[2] / "infra" / "docs" / "study.ipynb"
NUM_SPEAKERS, NUM_CLIPS = 12, 3
MODEL = {"model": "tiny", "model_sha256": "aa", "coverage": "first", "run_id": "run1"}


@pytest.fixture
def study(tmp_path):
    """A store with the scores of speakers in two conditions, of which the second is merrier."""
    rng = np.random.default_rng(1)
    scores, seconds = [], []
    for number in range(NUM_SPEAKERS * NUM_CLIPS):
        speaker, clip = divmod(number, NUM_CLIPS)
        clip_id = f"p{speaker}/{clip}.mp4"
        merrier = 0.3 * (speaker % 2)
        values = np.clip(rng.normal(0.3 + merrier, 0.05, len(EMI_TARGETS)), 0, 1)
        rejected = clip == 2 and speaker == 0
        row = {"clip_id": clip_id, "uri": f"file:///c/{clip_id}", "flags": []}
        row |= {"status": "rejected", "reason": "silent"} if rejected else {"status": "scored"}
        row |= MODEL | {"scored_at": datetime.now(UTC)}
        if not rejected:
            row |= dict(zip(map(column_name, EMI_TARGETS), values.tolist(), strict=True))
            row["flags"] = ["clipped"] * (number == 5)
        scores.append(row)
        for second in range(4):
            vad = dict.fromkeys(VAD_DIMENSIONS, 0.5 + 0.1 * second * (number == 7))
            seconds.append({"clip_id": clip_id, "second": second, "num_frames": 50, **vad, **MODEL})
    store = create_store(tmp_path / "study")
    tables = {TIMELINE: seconds, SCORES: scores}
    store.commit("p", {t: pa.Table.from_pylist(r, TABLE_SCHEMAS[t]) for t, r in tables.items()})
    add_speakers(store.location, "{speaker}")
    table = tmp_path / "questionnaire.csv"
    lines = [f"p{n},{('calm', 'merry')[n % 2]}\n" for n in range(NUM_SPEAKERS)]
    table.write_text("".join(["speaker,condition\n", *lines]), encoding="utf-8")
    add_metadata(store.location, str(table))
    return store.location


def cells():
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (found["nbformat"], len(found["cells"])) == (4, 10)
    return [cell for cell in found["cells"] if cell["cell_type"] == "code"]


def test_every_cell_runs(study, monkeypatch):
    import matplotlib as mpl

    monkeypatch.setenv("EMI_RESULTS", study)
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    shared = {}
    for cell in cells():
        exec(compile("".join(cell["source"]), cell["id"], "exec"), shared)
    plt.close("all")
    differences = {one.column: one for one in shared["found"].differences}
    assert differences["joy"].num_speakers == NUM_SPEAKERS
    assert -0.4 < differences["joy"].difference.low < differences["joy"].difference.high < -0.2
    assert shared["spread"].idxmax() == "p2/1.mp4"
    assert shared["doubtful"].clip_id[0] == "p1/2.mp4"
    assert len(shared["clips"]) == NUM_SPEAKERS * NUM_CLIPS - 1


def test_no_output_is_kept():
    assert [cell["id"] for cell in cells() if cell["outputs"] or cell["execution_count"]] == []
    assert max(len(line) for cell in cells() for line in cell["source"]) < 160
