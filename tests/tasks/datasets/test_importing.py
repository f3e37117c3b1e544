"""What holds for every layout."""

import pytest

from emi_model.errors import ConfigError, CorpusError, ExportError, LabelError
from emi_model.targets import column_name
from tasks.datasets.importing import Wanted, import_labels
from tasks.datasets.registry import LAYOUTS
from tasks.labels.label_columns import KNOWN_COLUMNS, RESERVED
from tasks.labels.label_set import load_labels
from tests.tasks.datasets.made_tree import write_tree

RAVDESS = ["Actor_01/03-01-03-01-01-01-01.wav", "Actor_02/03-01-05-01-01-01-02.wav"]
EMI = "Filename,Admiration,Amusement,Determination,Empathic Pain,Excitement,Joy\n"
VOTES = '"","A","D","F","H","N","S","fileName","numResponses"\n"100001",1,0,0,3,0,0,"{}",4\n'


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_an_empty_folder_says_what_is_expected_and_where_to_ask(layout, tmp_path):
    write_tree(tmp_path, {}, ["a.mp4"])
    with pytest.raises(LabelError) as error:
        import_labels(layout.name, tmp_path, write=tmp_path / "labels.csv")
    (line,) = str(error.value).splitlines()
    assert layout.files in line
    assert layout.ask in line
    assert not (tmp_path / "labels.csv").exists()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_no_target_has_a_column_of_the_store(layout):
    columns = [column_name(target) for target in layout.targets]
    assert len(set(columns)) == len(columns)
    assert not {*RESERVED, *KNOWN_COLUMNS} & set(columns)


def test_no_such_folder_and_no_such_layout(tmp_path):
    with pytest.raises(CorpusError, match=r"none: no such folder, expected that of RAVDESS: Actor"):
        import_labels("ravdess", tmp_path / "none", write=tmp_path / "labels.csv")
    with pytest.raises(
        ConfigError, match="no layout called 'emodb', expected one of hume-vidmimic2"
    ):
        import_labels("emodb", tmp_path, write=tmp_path / "labels.csv")


def test_options_that_do_not_go_together(tmp_path):
    with pytest.raises(ConfigError, match="neither --results nor --write"):
        import_labels("ravdess", tmp_path)
    with pytest.raises(ConfigError, match="leave out --cut"):
        import_labels("ravdess", tmp_path, write=tmp_path / "a.csv", cut=tmp_path / "cut")


def test_a_store_needs_media(tmp_path):
    tree = write_tree(tmp_path / "tree", {"label-disdim.csv": "name,discrete,valence\na,happy,1\n"})
    with pytest.raises(CorpusError, match="no media file in this folder"):
        import_labels("mer2024", tree, results=str(tmp_path / "store"))
    assert not (tmp_path / "store").exists()


def test_a_corpus_that_is_named_must_be_there(tmp_path):
    tree = write_tree(tmp_path / "tree", {"label-disdim.csv": "name,discrete,valence\na,happy,1\n"})
    path = tmp_path / "labels.csv"
    with pytest.raises(CorpusError, match="typo"):
        import_labels("mer2024", tree, write=path, corpus=str(tmp_path / "typo"))
    assert not path.exists()
    assert import_labels("mer2024", tree, write=path).num_clips == 1


def test_a_table_that_cannot_be_written(tmp_path):
    tree = write_tree(tmp_path / "tree", {}, RAVDESS)
    with pytest.raises(ExportError, match=r"tree: cannot be written: Is a directory$"):
        import_labels("ravdess", tree, write=tree)
    with pytest.raises(ExportError, match=r"a\.csv: cannot be written: "):
        import_labels("ravdess", tree, write=tree / RAVDESS[0] / "a.csv")


def test_two_data_sets_in_one_store(tmp_path):
    store = str(tmp_path / "store")
    wanted = Wanted(targets=("Anger", "Happiness"))
    corpus = tmp_path / "corpora"
    write_tree(corpus / "ravdess", {}, RAVDESS)
    name = "1001_DFA_ANG_XX"
    write_tree(
        corpus / "crema",
        {"processedResults/tabulatedVotes.csv": VOTES.format(name)},
        [f"AudioWAV/{name}.wav"],
    )
    for layout in ("ravdess", "crema"):
        import_labels(
            {"crema": "crema-d"}.get(layout, layout),
            corpus / layout,
            results=store,
            corpus=str(corpus),
            wanted=wanted,
        )
    labels = load_labels(store)
    assert labels.targets == ("Anger", "Happiness")
    assert {clip.clip_id: clip.emi.tolist() for clip in labels.clips} == {
        f"ravdess/{RAVDESS[0]}": [0, 1],
        f"ravdess/{RAVDESS[1]}": [1, 0],
        f"crema/AudioWAV/{name}.wav": [0.25, 0.75],
    }


def test_targets_that_a_data_set_lacks(tmp_path):
    tree = write_tree(tmp_path / "tree", {}, RAVDESS)
    path = tmp_path / "labels.csv"
    wanted = Wanted(targets=("Anger", "Boredom"))
    found = import_labels("ravdess", tree, write=path, wanted=wanted)
    assert found.notes == ("RAVDESS has no Boredom: left empty",)
    assert path.read_text().splitlines() == [
        "filename,speaker,split,Anger,Boredom",
        f"{RAVDESS[0]},Actor_01,,0,",
        f"{RAVDESS[1]},Actor_02,,1,",
    ]
    with pytest.raises(
        ConfigError, match="RAVDESS has no target Boredom, expected some of Neutral"
    ):
        import_labels("ravdess", tree, write=path, wanted=Wanted(targets=("Boredom",)))


def test_a_store_that_refuses_the_table(tmp_path):
    texts = {"train_split.csv": EMI + "0,0,0,0,0,0,0\n", "valid_split.csv": EMI + "1,0,0,0,0,0,0\n"}
    tree = write_tree(tmp_path / "tree", texts, ["0.mp4", "1.mp4"])
    (tree / "1.mp4").write_text("0.mp4")
    with pytest.raises(LabelError) as error:
        import_labels("hume-vidmimic2", tree, results=str(tmp_path / "store"))
    first, second = str(error.value).splitlines()
    assert first.startswith(f"the table of {tree} (--write FILE.csv writes it) cannot be used")
    assert second.startswith("  line 3: the same audio")


def test_two_files_of_one_name(tmp_path):
    media = ["raw/0.mp4", "copies/0.mp4"]
    texts = {f"{part}_split.csv": f"{EMI}0,0,0,0,0,0,0\n" for part in ("train", "valid")}
    tree = write_tree(tmp_path / "tree", texts, media)
    with pytest.raises(LabelError, match=r"0 is copies/0\.mp4 and raw/0\.mp4: expected one media"):
        import_labels("hume-vidmimic2", tree, write=tmp_path / "labels.csv")
