"""A made-up study: 12 speakers in two conditions, three clips each, of which joy differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.metadata.add_metadata import add_metadata, add_speakers
from tasks.schema.tables import CLIP_METADATA, SCORES, SPEAKER_METADATA, TIMELINE
from tasks.scoring.commit import RunStamp, tables_of
from tasks.store.store import ResultsStore

NUM_SPEAKERS, NUM_CLIPS = 12, 3
CLIPS = [f"p{n:02}/{m}.mp4" for n in range(NUM_SPEAKERS) for m in range(NUM_CLIPS)]
SCORE_NAMES = (*map(column_name, EMI_TARGETS), *VAD_DIMENSIONS)


def scores_of(seed: int) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]]:
    """Scores by column: 0.4 in general, joy 0.2 higher in condition loud (speakers 6 to 11)."""
    rng = np.random.default_rng(seed)
    own = np.repeat(rng.normal(0, 0.03, NUM_SPEAKERS), NUM_CLIPS)
    found = {
        name: (0.4 + own + rng.normal(0, 0.03, len(CLIPS))).astype(np.float32)
        for name in SCORE_NAMES
    }
    found["joy"][len(CLIPS) // 2 :] += np.float32(0.2)
    return found


@pytest.fixture
def commit_scores(
    store: ResultsStore, make_rows: Callable[..., pa.Table], make_stamp: Callable[..., RunStamp]
) -> Callable[..., None]:
    """Return a function that commits the scores of the study by one model."""

    def commit(name: str, *, seed: int = 0, **stamp: str) -> None:
        rows = tables_of(make_rows(*CLIPS), make_stamp(**stamp))
        for column, values in scores_of(seed).items():
            place = rows[SCORES].schema.get_field_index(column)
            field = rows[SCORES].schema.field(column)
            rows[SCORES] = rows[SCORES].set_column(place, field, pa.array(values))
        store.commit(name, rows)

    return commit


@pytest.fixture(scope="session")
def files_of_study() -> dict[str, bytes]:
    """Return the files of the study's store, which the first test that needs one puts here."""
    return {}


@pytest.fixture
def study(
    store: ResultsStore,
    commit_scores: Callable[..., None],
    files_of_study: dict[str, bytes],
    place_store: Callable[..., ResultsStore],
    tmp_path: Path,
) -> str:
    """Return the store of the study: with scores, speakers, condition and age."""
    if files_of_study:
        return place_store(store.location, files_of_study).location
    commit_scores("part")
    add_speakers(store.location, "{speaker}/*")
    lines = [f"p{n:02},{'loud' if n >= 6 else 'quiet'},{20 + n}" for n in range(NUM_SPEAKERS)]
    (tmp_path / "study.csv").write_text("speaker,condition,age\n" + "\n".join(lines) + "\n")
    add_metadata(store.location, tmp_path / "study.csv")
    for table in (SCORES, TIMELINE, CLIP_METADATA, SPEAKER_METADATA):
        parts = store.parts(table)
        contents = store.contents(parts)
        files_of_study |= {
            part.file: content for part, content in zip(parts, contents, strict=True)
        }
    return store.location
