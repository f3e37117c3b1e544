"""MELD's layout."""

import pytest

from emi_model.errors import LabelError
from tests.tasks.datasets.made_tree import stored, write_tree

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode\n"


def row(speaker, emotion, dialogue, utterance):
    return f'1,"Well, hello",{speaker},{emotion},neutral,{dialogue},{utterance},8,21\n'


@pytest.fixture
def tree(tmp_path):
    texts = {
        "train_sent_emo.csv": HEADER + row("Joey", "joy", 0, 0) + row("Waiter", "neutral", 0, 1),
        "dev_sent_emo.csv": HEADER + row("Joey", "anger", 0, 0),
        "test_sent_emo.csv": HEADER + row("Monica", "surprise", 0, 0),
    }
    media = [
        "train/train_splits/dia0_utt0.mp4",
        "train/train_splits/dia0_utt1.mp4",
        "dev/dev_splits_complete/dia0_utt0.mp4",
        "test/output_repeated_splits_test/dia0_utt0.mp4",
    ]
    return write_tree(tmp_path / "MELD.Raw", texts, media)


def test_the_same_name_in_three_splits(tree):
    clips, found = stored("meld", tree)
    happy = clips["train/train_splits/dia0_utt0.mp4"]
    angry = clips["dev/dev_splits_complete/dia0_utt0.mp4"]
    surprised = clips["test/output_repeated_splits_test/dia0_utt0.mp4"]
    assert len(clips) == 4
    names = found.report.targets
    named = [names[clip.emi.argmax()] for clip in (happy, angry, surprised)]
    assert named == ["Happiness", "Anger", "Surprise"]
    assert [clip.emi.sum() for clip in (happy, angry, surprised)] == [1, 1, 1]
    assert [clip.split for clip in (happy, angry, surprised)] == ["train", "valid", "test"]


def test_the_corrected_file_of_a_test_clip_counts(tree):
    folder = "test/output_repeated_splits_test"
    corrected = f"{folder}/final_videos_testdia0_utt0.mp4"
    write_tree(tree, {}, [corrected, f"{folder}/final_videos_testdia9_utt9.mp4"])
    clips, found = stored("meld", tree)
    assert [name for name, clip in clips.items() if clip.split == "test"] == [corrected]
    assert found.notes[0] == "of 1 test clips the corrected file (final_videos_test...) counts"


def test_characters_of_several_splits_are_named_apart(tree):
    clips, found = stored("meld", tree)
    speakers = {clip.speaker for clip in clips.values()}
    assert speakers == {"Joey (train)", "Joey (valid)", "Waiter", "Monica"}
    (note,) = found.notes
    assert note.startswith("the official splits share 1 speakers (Joey): models are judged by")


def test_a_missing_clip_is_refused_or_left_out(tree):
    (tree / "train/train_splits/dia0_utt1.mp4").unlink()
    expected = "no media file for train_splits/dia0_utt1 of 4 labelled clips .--allow-missing"
    with pytest.raises(LabelError, match=expected):
        stored("meld", tree)
    clips, found = stored("meld", tree, allow_missing=True)
    assert len(clips) == 3
    assert "left out train_splits/dia0_utt1: their media files are missing" in found.notes


def test_an_unknown_emotion(tree):
    (tree / "dev_sent_emo.csv").write_text(HEADER + row("Joey", "bliss", 0, 0))
    with pytest.raises(LabelError, match="line 2: Emotion is 'bliss', not one of anger"):
        stored("meld", tree)
