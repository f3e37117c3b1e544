"""Tables of data sets, cell by cell."""

import pytest

from emi_model.errors import LabelError
from tasks.datasets.clip_index import ClipIndex, bare_name
from tasks.datasets.registry import LAYOUTS
from tasks.datasets.tree import MediaFacts, TableRow, Tree


def tree_of(folder, *clips, **options):
    index = ClipIndex(clips, ("mp4", "wav"))
    return Tree(LAYOUTS["ravdess"], folder, index, lambda clip_id: MediaFacts(2.0, 25.0), **options)


def test_cells():
    row = TableRow("a.csv line 2", {"emo_act": " 4 ", "speaker": "7", "none": "NaN", "word": "x"})
    assert row.text("Emo Act") == "4"
    assert row.scaled("Emo Act", 1, 7) == 0.5
    assert (row.number("none"), row.scaled("none", 0, 1)) == (None, None)
    with pytest.raises(LabelError, match=r"a\.csv line 2: word is 'x', expected a number"):
        row.number("word")
    with pytest.raises(LabelError, match="speaker is 7, expected 1 to 5"):
        row.scaled("speaker", 1, 5)


def test_ragged_and_unreadable_tables(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3\n")
    with pytest.raises(LabelError, match=r"a\.csv line 3 has 1 cells, its header 2"):
        tree_of(tmp_path).table("a.csv", columns=("x",))
    (tmp_path / "a.csv").write_bytes(b"\x1f\x8bzipped")
    with pytest.raises(LabelError, match=r"cannot read a\.csv: is compressed by gzip"):
        tree_of(tmp_path).table("a.csv", columns=("x",))


def test_the_first_pattern_that_fits_counts_and_hidden_files_do_not(tmp_path):
    for name in ("._a.csv", "below/a.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n1\n")
    assert tree_of(tmp_path).find("*.csv", "*/a.csv") == [tmp_path / "below" / "a.csv"]
    assert tree_of(tmp_path).find("*.txt") == []


def test_facts(tmp_path):
    assert tree_of(tmp_path, "x/a.mp4").facts("a") == MediaFacts(2.0, 25.0)
    assert tree_of(tmp_path, "x/a.mp4").facts("b") is None
    assert tree_of(tmp_path, frame_rate=30.0).facts("b") == MediaFacts(None, 30.0)


def test_names():
    assert bare_name(r"train\00000.MP4") == "00000"
    assert bare_name("Dr. Who") == "Dr. Who"
    index = ClipIndex(["a/x.wav", "b/x.mp4", "b/x.flac", "a/y.ogg", "b/y.opus"], ("mp4", "wav"))
    assert index.find("x") == "b/x.mp4"
    assert index.find("x", ("a",)) == "a/x.wav"
    assert index.find("z") is None
    with pytest.raises(LabelError, match=r"y is a/y\.ogg and b/y\.opus"):
        index.find("y")
