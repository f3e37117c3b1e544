"""The layouts of MER2023 and MER2024."""

import pytest

from emi_model.errors import LabelError
from tests.tasks.datasets.made_tree import stored, table_of, write_tree


@pytest.fixture
def tree(tmp_path):
    labels = "".join(f"sample_{n:08},worried,{n - 5}\n" for n in range(5))
    texts = {
        "mer2023train/train-label.csv": "name,discrete,valence\n" + labels,
        "test-labels/test1-label.csv": "name,discrete,valence\nsample_00000000,happy,5\n",
        "test-labels/test3-label.csv": "name,discrete\nsample_00000900,neutral\n",
    }
    media = [f"mer2023train/train/sample_{n:08}.avi" for n in range(5)]
    media += ["mer2023test/test1/sample_00000000.avi", "mer2023test/test3/sample_00000900.avi"]
    return write_tree(tmp_path / "mer", texts, media)


def test_official_tests_and_the_rest_drawn(tree):
    clips, found = stored("mer2023", tree)
    splits = [clips[f"mer2023train/train/sample_{n:08}.avi"].split for n in range(5)]
    assert set(splits) == {"train", "valid"}
    assert clips["mer2023test/test1/sample_00000000.avi"].split == "test"
    assert clips["mer2023test/test3/sample_00000900.avi"].split == "test"
    assert "no test2-label.csv: the clips of test2 have no labels here" in found.notes
    assert any("name no speaker" in note for note in found.report.notes)


def test_valence_from_minus_5_to_5(tree):
    rows = {row["filename"]: row for row in table_of("mer2023", tree)}
    sad = rows["mer2023train/train/sample_00000000.avi"]
    assert (sad["Worry"], sad["Rated Valence"], sad["valence"], sad["arousal"]) == (
        "1", "0", "0", "",
    )  # fmt: skip
    happy = rows["mer2023test/test1/sample_00000000.avi"]
    assert (happy["Happiness"], happy["Worry"], happy["Rated Valence"]) == ("1", "0", "1")
    assert rows["mer2023test/test3/sample_00000900.avi"]["Rated Valence"] == ""


def test_mer2024(tmp_path):
    texts = {"label-disdim.csv": "name,discrete,valence\na,angry,-2.5\nb,surprise,2.5\n"}
    media = ["video-labeled/a.mp4", "video-labeled/b.mp4", "video-unlabeled/c.mp4"]
    clips, found = stored("mer2024", write_tree(tmp_path / "mer", texts, media))
    assert found.report.targets == (
        "Neutral", "Anger", "Happiness", "Sadness", "Worry", "Surprise", "Rated Valence",
    )  # fmt: skip
    assert clips["video-labeled/a.mp4"].emi.tolist() == [0, 1, 0, 0, 0, 0, 0.25]
    assert found.report.num_without_labels == 1


def test_an_unknown_emotion(tree):
    path = tree / "mer2023train" / "train-label.csv"
    path.write_text("name,discrete,valence\nsample_00000000,bored,1\n")
    with pytest.raises(LabelError, match="discrete is 'bored', not one of neutral, angry"):
        stored("mer2023", tree)
