"""The layout of SEWA as the AVEC challenges give it."""

import numpy as np
import pytest
import soundfile

from emi_model.errors import LabelError
from tasks.datasets.importing import Wanted, import_labels
from tasks.labels.label_set import load_labels
from tests.tasks.datasets.made_tree import table_of, write_tree

RATE = 16000


def labels_of(name, seconds, *, header="name;timeStamp;arousal;valence;liking"):
    lines = (
        f"'{name}';{step / 10:.1f};{-1 if step < 10 else 1};0;0.5" for step in range(10 * seconds)
    )
    return "\n".join([header, *lines]) + "\n"


@pytest.fixture
def tree(tmp_path):
    parts = {"Train_DE_01": 4, "Devel_HU_01": 2, "Test_CN_01": 2}
    texts = {f"labels/{name}.csv": labels_of(name, seconds) for name, seconds in parts.items()}
    return write_tree(tmp_path / "sewa", texts | {"labels/readme.csv": "a;b\n1;2\n"})


def test_official_splits_and_scales(tree):
    rows = table_of("sewa", tree, window_seconds=2)
    names = ("filename", "split", "Rated Arousal", "Rated Valence", "Liking", "speaker")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("Devel_HU_01/00000-00002.mkv", "valid", "0.5", "0.5", "0.75", "Devel_HU_01"),
        ("Test_CN_01/00000-00002.mkv", "test", "0.5", "0.5", "0.75", "Test_CN_01"),
        ("Train_DE_01/00000-00002.mkv", "train", "0.5", "0.5", "0.75", "Train_DE_01"),
        ("Train_DE_01/00002-00004.mkv", "train", "1", "0.5", "0.75", "Train_DE_01"),
    ]


def test_files_without_a_header(tree):
    with_header = table_of("sewa", tree, window_seconds=2)
    for path in (tree / "labels").glob("T*.csv"):
        path.write_text(path.read_text().partition("\n")[2])
    assert table_of("sewa", tree, window_seconds=2) == with_header


def test_windows_of_sound_alone(tree, tmp_path):
    (tree / "labels" / "Test_CN_01.csv").unlink()
    for number, name in enumerate(("Train_DE_01", "Devel_HU_01")):
        noise = np.random.default_rng(number).standard_normal(2 * RATE)
        (tree / "audio").mkdir(exist_ok=True)
        soundfile.write(tree / "audio" / f"{name}.wav", noise / 10, RATE)
    wanted = Wanted(window_seconds=2)
    store, cut = tmp_path / "store", tmp_path / "cut"
    import_labels("sewa", tree, results=str(store), cut=cut, wanted=wanted)
    clips = [clip.clip_id for clip in load_labels(store).clips]
    assert clips == ["Devel_HU_01/00000-00002.mkv", "Train_DE_01/00000-00002.mkv"]


def test_what_is_wrong(tree):
    path = tree / "labels" / "Train_DE_01.csv"
    path.write_text(labels_of("Train_DE_01", 1).replace("liking", "other"))
    with pytest.raises(LabelError, match=r"Train_DE_01\.csv has no column liking among name"):
        table_of("sewa", tree)
    path.write_text(labels_of("Train_DE_01", 1).replace("timeStamp", "frame"))
    with pytest.raises(LabelError, match="no rows with a column timeStamp"):
        table_of("sewa", tree)
    path.write_text(labels_of("Train_DE_01", 1).replace(";0.3;", ";0.1;"))
    with pytest.raises(LabelError, match="the times do not ascend from 0 on"):
        table_of("sewa", tree)
    write_tree(tree, {}, ["video/other.avi"])
    path.write_text(labels_of("Train_DE_01", 1))
    with pytest.raises(LabelError, match="no media file for Devel_HU_01, Test_CN_01, Train_DE_01"):
        table_of("sewa", tree)
