"""Folders and tables of features as a corpus: which clips there are, and which file is whose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emi_model.errors import CorpusError
from tasks.corpus.clips import hash_clip
from tasks.corpus.features.arrays import read_arrays
from tasks.corpus.features.folders import FeatureIndex, feature_files, feature_folder
from tasks.corpus.features.tables import is_feature_table
from tasks.corpus.listing import check_source, holds_features, list_clips
from tasks.corpus.passed_over import PassedOver


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))


def write(file: Path, values: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, np.asarray(values))


def test_a_folder_without_media_is_a_corpus_of_its_features(tmp_path: Path) -> None:
    for name in ("b/2.npy", "a.npy", ".Trashes/3.npy", "._4.npy"):
        write(tmp_path / "made" / name, np.zeros(3))
    (tmp_path / "made" / "notes.txt").touch()
    passed = PassedOver()
    clips = list_clips(str(tmp_path / "made"), passed=passed)
    assert [clip.clip_id for clip in clips] == ["a.npy", "b/2.npy"]
    assert passed == {".txt": 1, "._*": 1, ".trashes": 1}
    assert holds_features(str(tmp_path / "made"))
    check_source(str(tmp_path / "made"))
    # equal zeros, where nothing was found, and still two clips
    assert len({hash_clip(clip) for clip in clips}) == 2
    (tmp_path / "made" / "a.mp4").touch()  # with media, the media are the clips
    assert [clip.clip_id for clip in list_clips(str(tmp_path / "made"))] == ["a.mp4"]
    assert not holds_features(str(tmp_path / "made"))


def test_a_table_is_a_corpus_of_its_clips(tmp_path: Path) -> None:
    table = tmp_path / "sensors.csv"
    table.write_text(
        "Filename;time;eda;note;bpm\n007;0.5;2;x;\n007;0.0;1;y;60\nspk/8.mp4;0;3;z;61\n"
    )
    assert is_feature_table(str(table))
    assert holds_features(str(table))
    clips = list_clips(str(table))
    assert [clip.clip_id for clip in clips] == ["007", "spk/8.mp4"]
    assert list_clips(str(table), limit=1) == clips[:1]
    first = read_arrays(clips[0].file())
    assert first.times is not None
    assert first.times.tolist() == [0, 0.5]
    assert first.chosen(None)[:, 0].tolist() == [1, 2]
    assert np.isnan(first.chosen(None)[1, 1])
    assert feature_folder(str(table)) == feature_folder(str(table)) == clips[0].file().parent

    index = FeatureIndex(feature_folder(str(table)))
    assert index.num_files == 2
    assert index.of("corpus/007.wav") == index.of("007") == clips[0].file()
    assert index.of("8.npz") == index.of("spk/8") == clips[1].file()
    assert index.of("9.mp4") is None


def test_lists_of_numbers_are_entries_of_a_table(tmp_path: Path) -> None:
    rows = {
        "clip_id": ["a", "b", "a"],
        "embedding": pa.array([[1, 2], None, [5, 6]], pa.list_(pa.float64())),
        "loud": [True, False, True],
        "fps": [5, 5, 5],
    }
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    files = dict(feature_files(feature_folder(str(tmp_path / "t.parquet"))))
    a, b = (read_arrays(files[name]) for name in ("a", "b"))
    assert a.chosen(None).tolist() == [[1, 2, 1], [5, 6, 1]]
    assert (a.rate, b.rate) == (5, 5)
    assert np.isnan(b.chosen(None)[0, :2]).all()


def test_a_bare_name_that_two_files_have_is_nobodys(tmp_path: Path) -> None:
    for name in ("one/7.npy", "two/7.npy", "x.1.npy", "x.2.npy"):
        write(tmp_path / name, np.zeros(3))
    index = FeatureIndex(tmp_path)
    assert index.of("7.mp4") is None
    assert index.of("two/7.mp4") == tmp_path / "two" / "7.npy"
    assert index.of("deep/x.2.mp4") == tmp_path / "x.2.npy"


def test_a_bare_name_in_another_folder_is_another_clips(tmp_path: Path) -> None:
    """Speakers and splits have folders of their own, in which the same names come again."""
    for name in ("train/dia0_utt0.npy", "dev/dia1_utt0.npy", "all/dev/dia2_utt0.npy"):
        write(tmp_path / name, np.zeros(3))
    index = FeatureIndex(tmp_path)
    assert index.of("dev/dia0_utt0.mp4") is None
    assert index.of("meld/dev/dia1_utt0.mp4") == tmp_path / "dev" / "dia1_utt0.npy"
    assert index.of("dev/dia2_utt0.mp4") == tmp_path / "all" / "dev" / "dia2_utt0.npy"
    assert index.of("dia0_utt0.mp4") == tmp_path / "train" / "dia0_utt0.npy"


def test_a_manifest_stays_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("clip_id,uri,seconds\n1,a.mp4,3\n")
    assert not is_feature_table(str(tmp_path / "m.csv"))
    (tmp_path / "n.csv").write_text("filename,note\na,b\n")
    assert not is_feature_table(str(tmp_path / "n.csv"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("clip_id,note\na,b\n", "found no column of numbers"),
        ("who,value\na,1\n", "found columns who, value, none names the clip"),
        ("clip_id,value\n,1\n", "column clip_id is empty in 1 rows"),
    ],
)
def test_a_table_that_is_none_says_why(content: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(CorpusError, match=expected):
        feature_folder(str(tmp_path / "t.csv"))


def test_a_place_without_features_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"found no .npz or .npy in this folder"):
        feature_folder(str(tmp_path))
    with pytest.raises(CorpusError, match="no such folder or table of features"):
        feature_folder(str(tmp_path / "none"))
    with pytest.raises(CorpusError, match="are read from a disk"):
        feature_folder("s3://bucket/features")
