"""Aff-Wild2's layout, with a film of 4 frames a second."""

import numpy as np
import pytest

from emi_model.errors import ConfigError, LabelError
from tasks.datasets.importing import Wanted, import_labels
from tasks.extraction.audio import extract
from tasks.labels.label_set import load_labels
from tests.tasks.datasets.made_tree import table_of, write_tree
from tests.tasks.datasets.over_time.film import write_film

TRAIN = "annotations/VA_Estimation_Challenge/Train_Set"
VALID = "annotations/VA_Estimation_Challenge/Validation_Set"
FRAMES = [(-1, 1)] * 4 + [(1, 0)] * 4 + [(-5, -5)] * 8 + [(0, 0)] * 4


def lines(frames):
    return "valence,arousal\n" + "".join(f"{valence},{arousal}\n" for valence, arousal in frames)


@pytest.fixture
def labels_alone(tmp_path):
    texts = {
        f"{TRAIN}/1-30-1280x720.txt": lines(FRAMES),
        f"{TRAIN}/video5_left.txt": lines(FRAMES),
        f"{VALID}/video2.txt": lines(FRAMES[:4]),
    }
    return write_tree(tmp_path / "aff", texts)


def test_labels_of_one_a_second(labels_alone):
    rows = table_of("aff-wild2", labels_alone, frame_rate=4.0, window_seconds=1)
    assert [(row["filename"], row["Rated Valence"], row["Rated Arousal"]) for row in rows] == [
        ("1-30-1280x720/00000-00001.mkv", "0", "1"),
        ("1-30-1280x720/00001-00002.mkv", "1", "0.5"),
        ("1-30-1280x720/00004-00005.mkv", "0.5", "0.5"),
        ("video2/00000-00001.mkv", "0", "1"),
    ]
    first = rows[0]
    assert (first["valence"], first["arousal"], first["dominance"]) == ("0", "1", "")
    assert [row["split"] for row in rows] == [*["train"] * 3, "valid"]
    assert first["speaker"] == "1-30-1280x720"


def test_a_film_of_two_people_is_left_out_whole(labels_alone):
    texts = {f"{TRAIN}/10-60-1280x720{side}.txt": lines(FRAMES) for side in ("", "_right")}
    write_tree(labels_alone, texts)
    rows = table_of("aff-wild2", labels_alone, frame_rate=4.0, window_seconds=1)
    assert {row["speaker"] for row in rows} == {"1-30-1280x720", "video2"}


def test_labels_of_windows(labels_alone):
    rows = table_of("aff-wild2", labels_alone, frame_rate=4.0, window_seconds=2)
    found = [(row["filename"], row["Rated Valence"]) for row in rows]
    assert found == [
        ("1-30-1280x720/00000-00002.mkv", "0.5"),
        ("1-30-1280x720/00004-00005.mkv", "0.5"),
        ("video2/00000-00001.mkv", "0"),
    ]


def test_windows_are_cut_out_of_the_films(labels_alone, tmp_path):
    write_film(labels_alone / "batch1" / "1-30-1280x720.mp4", seconds=3)
    write_film(labels_alone / "batch1" / "video2.mp4", seconds=1)
    store, cut = tmp_path / "store", tmp_path / "cut"
    wanted = Wanted(window_seconds=1)
    found = import_labels("aff-wild2", labels_alone, results=str(store), cut=cut, wanted=wanted)
    assert found.corpus == str(cut)
    clips = {clip.clip_id: clip for clip in load_labels(store).clips}
    names = ["1-30-1280x720/00000-00001.mkv", "1-30-1280x720/00001-00002.mkv"]
    assert sorted(clips) == [*names, "video2/00000-00001.mkv"]  # labels end with the film
    assert clips[names[1]].emi.tolist() == [0.5, 1]
    # the film's sound has another pitch in each second
    pitches = [pitch(extract(cut / name, max_seconds=None).waveform) for name in names]
    assert pitches == pytest.approx([200, 400], abs=3)
    assert "left out 1 files with labels of one of two people in a film" in found.notes
    before = {name: (cut / name).stat().st_mtime_ns for name in names}
    again = import_labels("aff-wild2", labels_alone, results=str(store), cut=cut, wanted=wanted)
    assert again.report.snapshot is None
    assert {name: (cut / name).stat().st_mtime_ns for name in names} == before


def pitch(waveform):
    assert abs(len(waveform) - 16000) <= 16
    return np.abs(np.fft.rfft(waveform)).argmax() * 16000 / len(waveform)


def test_what_is_missing(labels_alone, tmp_path):
    with pytest.raises(LabelError, match="nothing says how many frames a second 1-30-1280x720 has"):
        table_of("aff-wild2", labels_alone)
    with pytest.raises(ConfigError, match="add --cut DIR"):
        import_labels("aff-wild2", labels_alone, results=str(tmp_path / "store"))
    write_tree(labels_alone, {}, ["batch1/other.mp4"])
    with pytest.raises(LabelError, match="no media file for 1-30-1280x720, video2 of 2 labelled"):
        table_of("aff-wild2", labels_alone)
    (labels_alone / VALID / "video2.txt").unlink()
    with pytest.raises(LabelError, match=r"no VA_Estimation_Challenge/Validation_Set/\*\.txt"):
        table_of("aff-wild2", labels_alone)


def test_a_line_that_is_no_label(labels_alone):
    (labels_alone / TRAIN / "1-30-1280x720.txt").write_text("valence,arousal\n0.1;0.2\n")
    with pytest.raises(LabelError, match=r"line 2 is '0\.1;0\.2', expected VALENCE,AROUSAL"):
        table_of("aff-wild2", labels_alone, frame_rate=30.0)


def test_a_file_that_is_no_text(labels_alone):
    (labels_alone / TRAIN / "1-30-1280x720.txt").write_bytes(b"valence,arousal\n\x81\0")
    with pytest.raises(LabelError, match=r"1280x720\.txt: line 2 holds a zero byte"):
        table_of("aff-wild2", labels_alone, frame_rate=30.0)


def test_a_film_that_is_none(labels_alone):
    write_tree(labels_alone, {}, ["batch1/1-30-1280x720.mp4", "batch1/video2.mp4"])
    with pytest.raises(LabelError, match="its header cannot be read"):
        table_of("aff-wild2", labels_alone)
