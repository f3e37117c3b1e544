"""audformat's own library reads the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import audformat
import pandas as pd
import pytest

from tasks.exports.export import Exported, write_export
from tasks.metadata.add_metadata import add_metadata
from tests.tasks.exports.made_store import BROKEN, JOY, LICENCE, SAID, TALK, made_store


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # audformat 1.4.3 with pandas 3.1
def test_the_database_is_read(exported: Callable[[str], tuple[Path, Exported]]) -> None:
    folder, done = exported("audformat")
    assert (done.num_clips, done.left_out) == (6, {})
    found = audformat.Database.load(folder, num_workers=1)
    assert LICENCE in found.license
    assert found.raters["model"].type == audformat.define.RaterType.MACHINE
    clips = found["clips"].get()
    assert clips["joy"].dropna().to_dict() == JOY
    assert clips.loc[BROKEN, "reason"] == "no_audio_track"
    assert clips.loc[TALK, "text"].startswith(SAID)
    assert found.schemes["joy"].maximum == 1
    seconds = found["timeline"].get()
    assert audformat.is_segmented_index(seconds)
    talk = seconds.loc[TALK]
    ends = [end / pd.Timedelta(seconds=1) for end in talk.index.get_level_values("end")]
    assert (ends, set(talk["valence"])) == ([2.0, 3.0, 3.5], {0.5})
    assert len(seconds) == 15


def test_a_study_may_have_columns_of_these_names(tmp_path: Path) -> None:
    made_store(tmp_path / "store")
    (tmp_path / "study.csv").write_text(f"clip_id,language,text\n{TALK},theirs,theirs\n")
    add_metadata(str(tmp_path / "store"), tmp_path / "study.csv")
    write_export("audformat", str(tmp_path / "store"), str(tmp_path / "out"))
    clips = pd.read_parquet(tmp_path / "out" / "db.clips.parquet").set_index("file")
    assert clips.loc[TALK, "text"].startswith(SAID)
    assert clips.loc[TALK, "language"] == "en"
