"""BioVid's layout."""

import pytest

from emi_model.errors import LabelError
from tests.tasks.datasets.made_tree import stored, table_of, write_tree

HEADER = "subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name\n"
SAMPLES = [
    ("071309_w_21", 0, "BL1"),
    ("071309_w_21", 2, "PA2"),
    ("071309_w_21", 4, "PA4"),
    ("120514_w_56", 0, "BL1"),
    ("120514_w_56", 4, "PA4"),
]


def rows():
    for number, (subject, level, name) in enumerate(SAMPLES):
        sample = f"{subject}-{name}-{number:03}"
        yield f"1\t{subject}\t{level}\t{name}\t{number}\t{sample}\n", subject, sample


@pytest.fixture
def tree(tmp_path):
    texts = {"PartA/samples.csv": HEADER + "".join(line for line, _, _ in rows())}
    texts |= {f"PartA/biosignals_filtered/{s}/{n}_bio.csv": "time\tgsr\n" for _, s, n in rows()}
    media = [f"PartA/video/{subject}/{name}.mp4" for _, subject, name in rows()]
    return write_tree(tmp_path / "biovid", texts, media)


def test_pain_in_quarters_and_subjects_in_one_split_each(tree):
    clips, _ = stored("biovid", tree, seed=3)
    pain = {clip_id.split("-")[1]: clip.emi.tolist() for clip_id, clip in clips.items()}
    assert pain == {"BL1": [0], "PA2": [0.5], "PA4": [1]}
    by_subject = {}
    for clip in clips.values():
        by_subject.setdefault(clip.speaker, set()).add(clip.split)
    assert sorted(map(sorted, by_subject.values())) == [["train"], ["valid"]]
    assert set(by_subject) == {"071309_w_21", "120514_w_56"}


def test_the_two_levels_of_published_figures(tree):
    clips, _ = stored("biovid-extremes", tree)
    assert sorted(clip.emi[0] for clip in clips.values()) == [0, 0, 1, 1]


def test_labels_alone_for_signals_without_film(tree):
    for film in tree.glob("PartA/video/*/*"):
        film.unlink()
    found = table_of("biovid", tree)
    assert found[1] == {
        "filename": "071309_w_21-PA2-001",
        "speaker": "071309_w_21",
        "split": "",
        "Pain": "0.5",
    }


def test_another_class(tree):
    (tree / "PartA" / "samples.csv").write_text(HEADER + "1\ta\t5\tPA5\t1\ta-PA5-1\n")
    with pytest.raises(LabelError, match="line 2: class_id is 5, expected 0 to 4"):
        stored("biovid", tree)
