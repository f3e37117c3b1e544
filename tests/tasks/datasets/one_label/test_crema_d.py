"""CREMA-D's layout."""

import pytest

from emi_model.errors import LabelError
from tests.tasks.datasets.made_tree import stored, table_of, write_tree

HEADER = '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"\n'
VOTES = (
    '"100001",6,2,0,0,2,0,"1001_DFA_ANG_XX",10,0.6,"A"\n'
    '"100002",0,0,0,4,4,0,"1002_IEO_HAP_LO",8,0.5,"H:N"\n'
    '"200001",0,0,0,0,9,0,"1001_DFA_ANG_XX",9,1,"N"\n'
    '"300001",8,0,0,0,2,0,"1001_DFA_ANG_XX",10,0.8,"A"\n'
    '"300002",0,0,0,5,0,0,"1002_IEO_HAP_LO",5,1,"H"\n'
)
NAMES = ("1001_DFA_ANG_XX", "1002_IEO_HAP_LO")


def tree_of(tmp_path, *folders, votes=VOTES):
    media = [f"{folder}/{name}.{suffix}" for folder, suffix in folders for name in NAMES]
    texts = {"processedResults/tabulatedVotes.csv": HEADER + votes}
    return write_tree(tmp_path / "crema", texts, media)


def test_shares_of_those_who_heard_the_voice(tmp_path):
    tree = tree_of(tmp_path, ("AudioWAV", "wav"), ("VideoFlash", "flv"))
    clips, found = stored("crema-d", tree)
    assert set(clips) == {f"AudioWAV/{name}.wav" for name in NAMES}
    angry = clips["AudioWAV/1001_DFA_ANG_XX.wav"]
    assert angry.emi.tolist() == pytest.approx([0.6, 0.2, 0, 0, 0.2, 0])
    assert (angry.num_raters, angry.speaker) == (10, "1001")
    assert {clip.split for clip in clips.values()} == {"train", "valid"}
    assert found.notes == ("the labels are shares of the raters who heard the voice alone",)
    assert found.report.targets[:2] == ("Anger", "Disgust")


def test_shares_of_those_who_also_saw_the_face(tmp_path):
    clips, found = stored("crema-d", tree_of(tmp_path, ("VideoFlash", "flv")))
    assert clips["VideoFlash/1001_DFA_ANG_XX.flv"].emi.tolist() == pytest.approx(
        [0.8, 0, 0, 0, 0.2, 0]
    )
    assert "heard the voice and saw the face" in found.notes[0]


def test_what_the_actors_were_asked(tmp_path):
    clips, _ = stored("crema-d-acted", tree_of(tmp_path, ("AudioWAV", "wav")))
    assert clips["AudioWAV/1002_IEO_HAP_LO.wav"].emi.tolist() == [0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("layout", ["crema-d", "crema-d-acted"])
def test_the_sound_file_whose_name_lacks_a_letter(layout, tmp_path):
    votes = VOTES + '"103234",0,0,2,0,5,3,"1040_ITH_SAD_XX",10,0.5,"N"\n'
    tree = tree_of(tmp_path, ("AudioWAV", "wav"), ("VideoFlash", "flv"), votes=votes)
    misnamed = "AudioWAV/1040_ITH_SAD_X.wav"
    write_tree(tree, {}, [misnamed, "VideoFlash/1040_ITH_SAD_XX.flv"])
    clips, _ = stored(layout, tree)
    assert set(clips) == {*(f"AudioWAV/{name}.wav" for name in NAMES), misnamed}
    assert clips[misnamed].speaker == "1040"


def test_no_votes_and_no_such_names(tmp_path):
    tree = tree_of(tmp_path, ("AudioWAV", "wav"))
    (tree / "processedResults" / "tabulatedVotes.csv").unlink()
    with pytest.raises(LabelError, match=r"no processedResults/tabulatedVotes\.csv; .* CREMA-D"):
        stored("crema-d", tree)
    other = write_tree(tmp_path / "other", {}, ["AudioWAV/a.wav"])
    with pytest.raises(LabelError, match="no file named as 1001_DFA_ANG_XX"):
        stored("crema-d-acted", other)


def test_a_clip_without_votes(tmp_path):
    votes = '"100001",0,0,0,0,0,0,"1001_DFA_ANG_XX",0,0,""\n'
    tree = tree_of(tmp_path, ("AudioWAV", "wav"), votes=votes)
    with pytest.raises(LabelError, match="nobody voted on 1001_DFA_ANG_XX"):
        table_of("crema-d", tree)
