"""Names of clips' files: below the folder, and one for each clip."""

from __future__ import annotations

from pathlib import Path

import pytest

from emi_model.errors import ExportError
from tasks.exports.clip_names import clashes, file_stem, note_clashes, write_new
from tasks.exports.selection import CHOSEN, opened
from tests.tasks.exports.made_store import CLASH, FOLDED, TALK


@pytest.mark.parametrize(
    ("clip_id", "stem"),
    [
        *(("a.wav", "a"), ("x.y/a", "x.y/a"), ("x/a.b.wav", "x/a.b")),
        *((".wav", ".wav"), ("x/...a", "x/...a")),
    ],
)
def test_a_name_is_the_path_without_its_suffix(clip_id: str, stem: str) -> None:
    assert file_stem(clip_id, clashing=False) == stem
    assert file_stem(clip_id, clashing=True).startswith(f"{stem}-")


@pytest.mark.parametrize("clip_id", ["../a", "/a", "a/../../b", "a//b", "./a", "a/", "", "a\0b"])
def test_a_clip_that_leads_out_of_the_folder_is_refused(clip_id: str) -> None:
    with pytest.raises(ExportError, match=r"leads out of the folder, or to no file in it"):
        file_stem(clip_id, clashing=False)


def test_clips_that_some_file_system_takes_for_one_are_known(clips: Path) -> None:
    with opened(clips, ()) as selection:
        note_clashes(selection)
        found = selection.rows(f"SELECT clip_id FROM {CHOSEN} WHERE {clashes('clip_id')}")
    assert {row["clip_id"] for row in found} == {TALK, CLASH, FOLDED}


def test_no_file_replaces_another(tmp_path: Path) -> None:
    write_new(tmp_path, "x/a.eaf", b"1")
    with pytest.raises(ExportError, match=r"two clips would be written to x/a\.eaf"):
        write_new(tmp_path, "x/a.eaf", b"2")
    with pytest.raises(ExportError, match=r"two clips would be written to x/a\.eaf/b"):
        write_new(tmp_path, "x/a.eaf/b", b"3")
    assert (tmp_path / "x/a.eaf").read_bytes() == b"1"
