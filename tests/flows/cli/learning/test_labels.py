"""`emi labels`, called as a shell would."""

import json

import pytest


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number:05d}.mp4").write_bytes(bytes([number]))
    return folder


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.csv"
    lines = ["Filename,Admiration,Amusement,Determination,Empathic Pain,Excitement,Joy"]
    lines += [f"{number:05d},0,0.1,0.2,0.3,0.4,1" for number in range(8)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_labels_are_added_once_and_listed(emi, corpus, labels, tmp_path):
    store = tmp_path / "store"
    add = ("labels", "add", labels, "--corpus", corpus, "--store", store)
    code, out, _ = emi(*add, "--valid-share", 0.25, "--seed", 3)
    assert code == 0
    assert "8 clips added" in out
    assert "6 train, 2 valid, 0 test" in out
    assert "Empathic Pain" in out
    assert "2 clips of the corpus have no label" in out
    code, out, _ = emi(*add)
    assert code == 0
    assert "nothing new" in out
    code, out, _ = emi("labels", "list", "--store", store, "--json")
    (row,) = map(json.loads, out.splitlines())
    assert row["clips_by_split"] == {"train": 6, "valid": 2, "test": 0}
    assert (row["number"], row["parent"], row["seed"], row["num_rows"]) == (1, None, 3, 8)
    code, out, _ = emi("labels", "list", "--store", store)
    assert code == 0
    assert row["snapshot"][:12] in out
    code, out, _ = emi(
        "query", "SELECT count(*) AS n FROM labels", "--results", store, "--format", "json"
    )
    assert json.loads(out) == {"n": 8}


def test_problems_are_listed_and_nothing_is_written(emi, corpus, labels, tmp_path):
    with labels.open("a") as file:
        file.write("00099,0,0,0,0,0,0\n00001,0,0,0,0,0,0\n00008,0,0,0,0,0,much\n")
    store = tmp_path / "store"
    code, out, err = emi("labels", "add", labels, "--corpus", corpus, "--store", store)
    assert (code, out) == (2, "")
    for problem in ("line 10: no clip '00099'", "line 11: '00001'", "line 12: joy is 'much'"):
        assert problem in err
    assert not store.exists()


def test_only_the_named_targets(emi, corpus, labels, tmp_path):
    store = tmp_path / "store"
    add = ("labels", "add", labels, "--corpus", corpus, "--store", store)
    assert emi(*add, "--target", "joy", "--target", "Empathic Pain")[0] == 0
    _, out, _ = emi("labels", "list", "--store", store, "--json")
    assert json.loads(out)["targets"] == ["joy", "Empathic Pain"]


def test_shares_that_leave_nothing(emi, corpus, labels, tmp_path):
    add = ("labels", "add", labels, "--corpus", corpus, "--store", tmp_path / "store")
    code, _, err = emi(*add, "--valid-share", 0.6, "--test-share", 0.4)
    assert code == 2
    assert "less than 1 together" in err


def test_no_store_to_list(emi, tmp_path):
    code, _, err = emi("labels", "list", "--store", tmp_path / "none")
    assert code == 2
    assert "emi labels add" in err
