"""IEMOCAP's layout."""

import pytest

from emi_model.errors import LabelError
from tasks.labels.splits import Shares
from tests.tasks.datasets.made_tree import stored, table_of, write_tree

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"


def evaluation(dialogue, means="2.5000, 2.5000, 5.0000"):
    return f"""{HEADER}
[6.2901 - 8.2357]\t{dialogue}_F000\tneu\t[{means}]
C-E2:\tNeutral;\t()
C-E3:\tNeutral state;\t()
C-E4:\tNeutral; Excited;\t()
C-F1:\tAnger;\t(curious)
A-E3:\tval 3; act 2; dom  2;\t()

[10.0100 - 11.3925]\t{dialogue}_MXX1\txxx\t[1.0000, 5.0000, 3.0000]
C-E2:\tAnger;\t()
C-E4:\tOther;\t(impatient)
C-M1:\tNeutral;\t()
"""


@pytest.fixture
def tree(tmp_path):
    texts, media = {}, []
    for session in range(1, 6):
        dialogue = f"Ses0{session}F_impro01"
        texts[f"Session{session}/dialog/EmoEvaluation/{dialogue}.txt"] = evaluation(dialogue)
        media.append(f"Session{session}/dialog/avi/DivX/{dialogue}.avi")
        media += [
            f"Session{session}/sentences/wav/{dialogue}/{dialogue}_{turn}.wav"
            for turn in ("F000", "MXX1")
        ]
    texts["Session1/dialog/EmoEvaluation/Categorical/Ses01F_impro01_e2_cat.txt"] = "of one rater"
    return write_tree(tmp_path / "IEMOCAP_full_release", texts, media)


def test_shares_of_the_raters_and_dimensions_from_1_to_5(tree):
    first, second = table_of("iemocap", tree)[:2]
    assert first["filename"] == "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    assert (first["Neutral"], first["Excitement"], first["Anger"]) == ("1", "0.333333", "0")
    assert (first["num_raters"], first["speaker"]) == ("3", "Ses01F")
    dimensions = ("Rated Valence", "Rated Arousal", "Rated Dominance")
    assert [first[name] for name in dimensions] == ["0.375", "0.375", "1"]
    assert [first[name] for name in ("valence", "arousal", "dominance")] == ["0.375", "0.375", "1"]
    assert (second["Anger"], second["Other"], second["speaker"]) == ("0.5", "0.5", "Ses01M")
    assert [second[name] for name in dimensions] == ["0", "1", "0.5"]


def test_sessions_are_drawn_whole(tree):
    clips, found = stored("iemocap", tree)
    splits = {}
    for clip in clips.values():
        splits.setdefault(clip.speaker[:5], set()).add(clip.split)
    assert sorted(map(sorted, splits.values())) == [*[["train"]] * 4, ["valid"]]
    assert found.notes[0].count("train") == 4
    again, _ = stored("iemocap", tree)
    assert {c: clip.split for c, clip in again.items()} == {c: x.split for c, x in clips.items()}


def test_sessions_that_come_later_and_other_shares_move_none(tree):
    later = [(tree / name, tree.parent / name) for name in ("Session4", "Session5")]
    for path, aside in later:
        path.rename(aside)
    first, _ = stored("iemocap", tree)
    for path, aside in later:
        aside.rename(path)
    clips, _ = stored("iemocap", tree, shares=Shares(0.4))
    assert {name: clips[name].split for name in first} == {n: c.split for n, c in first.items()}
    splits = {(clip.speaker[:5], clip.split) for clip in clips.values()}
    assert sorted(split for _, split in splits) == ["train", "train", "train", "valid", "valid"]


def test_a_mean_outside_its_range_is_missing(tree):
    path = tree / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    path.write_text(evaluation("Ses01F_impro01", "5.5000, 2.0000, 2.0000"))
    clips, found = stored("iemocap", tree)
    assert "1 utterances have a mean outside 1 to 5, taken as missing" in found.notes
    name = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    assert clips[name].vad.tolist() == pytest.approx([0.25, 0.25, float("nan")], nan_ok=True)


def test_no_evaluations(tmp_path):
    root = write_tree(tmp_path / "iemocap", {}, ["Session1/sentences/wav/a/a_F000.wav"])
    with pytest.raises(LabelError, match=r"no Session\[1-5\].*sail\.usc\.edu"):
        stored("iemocap", root)


def test_evaluations_without_an_utterance(tree):
    for path in tree.glob("Session*/dialog/EmoEvaluation/*.txt"):
        path.write_text(HEADER)
    with pytest.raises(LabelError, match="no utterance in the files of EmoEvaluation"):
        stored("iemocap", tree)
