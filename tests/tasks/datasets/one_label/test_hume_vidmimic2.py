"""Hume-Vidmimic2's layout."""

import pytest

from emi_model.errors import LabelError
from emi_model.targets import EMI_TARGETS
from tasks.datasets.importing import import_labels
from tasks.labels.label_set import load_labels
from tests.tasks.datasets.made_tree import stored, write_tree

HEADER = "Filename,Admiration,Amusement,Determination,Empathic Pain,Excitement,Joy\n"


@pytest.fixture
def tree(tmp_path):
    texts = {
        "train_split.csv": f"{HEADER}00000,0,0.25,0.5,0,1,0.333\n00001.mp4,0,0,0,0,0,0\n",
        "valid_split.csv": f"{HEADER}08072,1,0,0,0,0,0\n",
    }
    media = ["raw/00000.mp4", "raw/00001.mp4", "raw/08072.mp4", "wav/00000.mp3", "raw/12660.mp4"]
    return write_tree(tmp_path / "hume", texts, media)


def test_labels_and_official_splits(tree):
    clips, found = stored("hume-vidmimic2", tree)
    assert {clip_id: clip.split for clip_id, clip in clips.items()} == {
        "raw/00000.mp4": "train",
        "raw/00001.mp4": "train",
        "raw/08072.mp4": "valid",
    }
    assert clips["raw/00000.mp4"].emi.tolist() == pytest.approx([0, 0.25, 0.5, 0, 1, 0.333])
    assert found.report.targets == EMI_TARGETS
    assert found.report.num_without_labels == 2  # the test clip, and the sound of a labelled one


def test_a_folder_of_one_kind_of_media(tree, tmp_path):
    (tree / "wav" / "00001.mp3").write_text("1")
    (tree / "wav" / "08072.mp3").write_text("8072")
    corpus = str(tree / "wav")
    import_labels("hume-vidmimic2", tree, results=str(tmp_path / "store"), corpus=corpus)
    clips = [clip.clip_id for clip in load_labels(tmp_path / "store").clips]
    assert clips == ["00000.mp3", "00001.mp3", "08072.mp3"]


def test_a_table_is_missing(tree):
    (tree / "valid_split.csv").unlink()
    with pytest.raises(LabelError, match=r"no valid_split\.csv; expected the layout of Hume-Vid"):
        stored("hume-vidmimic2", tree)


def test_a_column_is_missing(tree):
    (tree / "valid_split.csv").write_text("Filename,Admiration,Amusement\n08072,1,0\n")
    with pytest.raises(LabelError, match="no column Determination, Empathic Pain, Excitement, Joy"):
        stored("hume-vidmimic2", tree)


def test_a_label_outside_its_range(tree):
    (tree / "valid_split.csv").write_text(f"{HEADER}08072,1,0,0,0,0,3\n")
    with pytest.raises(LabelError, match=r"valid_split\.csv line 2: Joy is 3, expected 0 to 1"):
        stored("hume-vidmimic2", tree)
