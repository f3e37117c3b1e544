"""RAVDESS's layout."""

import pytest

from emi_model.errors import LabelError
from tests.tasks.datasets.made_tree import stored, write_tree


def test_emotion_and_actor_from_the_name(tmp_path):
    media = [
        "Audio_Speech_Actors_01-24/Actor_12/03-01-06-01-02-01-12.wav",
        "Audio_Speech_Actors_01-24/Actor_01/03-01-01-01-01-01-01.wav",
        "Audio_Song_Actors_01-24/Actor_01/03-02-02-02-01-02-01.wav",
    ]
    clips, found = stored("ravdess", write_tree(tmp_path / "ravdess", {}, media))
    fearful, neutral, calm = (clips[name] for name in media)
    named = dict(zip(found.report.targets, fearful.emi.tolist(), strict=True))
    assert named == {name: float(name == "Fear") for name in named}
    assert neutral.emi.tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert calm.emi.tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert (fearful.speaker, neutral.speaker, calm.speaker) == ("Actor_12", "Actor_01", "Actor_01")
    assert neutral.split == calm.split != fearful.split


def test_a_performance_counts_once(tmp_path):
    media = [
        "Actor_01/03-01-03-01-01-01-01.wav",
        "Actor_01/01-01-03-01-01-01-01.mp4",
        "Actor_01/02-01-03-01-01-01-01.mp4",
        "Actor_02/02-01-04-01-01-01-02.mp4",
        "Actor_02/03-01-04-01-01-01-02.wav",
    ]
    clips, found = stored("ravdess", write_tree(tmp_path / "ravdess", {}, media))
    assert set(clips) == {media[1], media[4]}
    assert "left out 3 files: the same performances as film and sound" in found.notes


def test_other_names(tmp_path):
    tree = write_tree(tmp_path / "ravdess", {}, ["Actor_01/03-01-09-01-01-01-01.wav"])
    with pytest.raises(LabelError, match=r"no file named as 03-01.*zenodo\.org/records/1188976"):
        stored("ravdess", tree)
