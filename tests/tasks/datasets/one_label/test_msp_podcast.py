"""MSP-Podcast's layout."""

import pytest

from emi_model.errors import LabelError
from tests.tasks.datasets.made_tree import stored, table_of, write_tree

HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
LINES = (
    "MSP-PODCAST_0001_0008.wav,N,1,4,7,30,Male,Train\n"
    "MSP-PODCAST_0001_0009.wav,X,2.5,4,4,Unknown,Female,Train\n"
    "MSP-PODCAST_0002_0001.wav,A,7,1,5.5,41,Female,Development\n"
    "MSP-PODCAST_0003_0001.wav,H,4,7,4,30,Male,Test1\n"
    "MSP-PODCAST_0004_0001.wav,S,3,2,4,Unknown,Male,Test2\n"
    "MSP-PODCAST_test3_0001.wav,O,1,1,1,Unknown,Unknown,Test3\n"
)


@pytest.fixture
def tree(tmp_path):
    names = [line.partition(",")[0] for line in LINES.splitlines()]
    texts = {"Labels/labels_consensus.csv": HEADER + LINES}
    return write_tree(tmp_path / "msp", texts, [f"Audios/{name}" for name in names])


def test_dimensions_from_1_to_7_and_agreed_classes(tree):
    rows = {row["filename"]: row for row in table_of("msp-podcast", tree)}
    first = rows["Audios/MSP-PODCAST_0001_0008.wav"]
    dimensions = ("Rated Arousal", "Rated Valence", "Rated Dominance")
    assert [first[name] for name in dimensions] == ["0", "0.5", "1"]
    assert [first[name] for name in ("arousal", "valence", "dominance")] == ["0", "0.5", "1"]
    assert (first["Neutral"], first["Anger"], first["speaker"]) == ("1", "0", "30 (train)")
    unsure = rows["Audios/MSP-PODCAST_0001_0009.wav"]
    assert (unsure["Neutral"], unsure["Other"], unsure["speaker"]) == ("", "", "")
    assert unsure["Rated Arousal"] == "0.25"


def test_official_splits_with_a_speaker_in_two(tree):
    clips, found = stored("msp-podcast", tree)
    splits = {clip_id.removeprefix("Audios/MSP-PODCAST_"): c.split for clip_id, c in clips.items()}
    assert splits == {
        "0001_0008.wav": "train",
        "0001_0009.wav": "train",
        "0002_0001.wav": "valid",
        "0003_0001.wav": "test",
    }
    notes = "\n".join(found.notes)
    assert "left out 1 segments of Test2: the split test is Test1" in notes
    assert "left out 1 segments of Test3" in notes
    assert "the official splits share 1 speakers (30)" in notes


def test_the_second_test_set(tree):
    clips, _ = stored("msp-podcast-test2", tree)
    assert [c.clip_id for c in clips.values() if c.split == "test"] == [
        "Audios/MSP-PODCAST_0004_0001.wav"
    ]


def test_an_early_release(tree):
    path = tree / "Labels" / "labels_consensus.csv"
    path.rename(path.with_name("labels_concensus.csv")).write_text(
        HEADER + LINES.replace("Development", "Validation")
    )
    clips, _ = stored("msp-podcast", tree)
    splits = [clip.split for clip in clips.values()]
    assert sorted(splits) == ["test", "train", "train", "valid"]


def test_an_unknown_class(tree):
    path = tree / "Labels" / "labels_consensus.csv"
    path.write_text(path.read_text().replace(",N,1,", ",Q,1,"))
    with pytest.raises(LabelError, match="line 2: EmoClass is 'Q', not one of A, C, D"):
        stored("msp-podcast", tree)
