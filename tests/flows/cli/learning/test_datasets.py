"""`emi labels import`, called as a shell would."""

import json

import pytest


@pytest.fixture
def ravdess(tmp_path):
    folder = tmp_path / "ravdess"
    for actor in range(1, 6):
        path = folder / f"Actor_{actor:02}" / f"03-01-{actor + 2:02}-01-01-01-{actor:02}.wav"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes([actor]))
    return folder


def test_a_published_folder_becomes_a_snapshot(emi, ravdess, tmp_path):
    store, table = tmp_path / "store", tmp_path / "table.csv"
    command = ("labels", "import", "ravdess", ravdess, "--results", store, "--write", table)
    code, out, _ = emi(*command)
    assert code == 0
    assert "5 clips added" in out
    assert "4 train, 1 valid, 0 test" in out
    assert f"the clips: --corpus {ravdess}" in out
    assert table.read_text().splitlines()[0].startswith("filename,speaker,split,Neutral,Calm")
    code, out, _ = emi(*command)
    assert (code, "nothing new" in out) == (0, True)
    code, out, _ = emi("labels", "add", table, "--corpus", ravdess, "--results", store)
    assert (code, "nothing new" in out) == (0, True)  # the file is what the store was given


def test_what_is_missing_is_one_line(emi, ravdess, tmp_path):
    code, out, err = emi("labels", "import", "meld", ravdess, "--results", tmp_path / "store")
    assert (code, out) == (2, "")
    assert "no train_sent_emo.csv; expected the layout of MELD" in err
    assert "https://affective-meld.github.io" in err
    assert len(err.removeprefix("reading clips\n").strip().splitlines()) == 1


def test_layouts_are_listed(emi):
    code, out, _ = emi("labels", "layouts")
    assert code == 0
    assert "msp-podcast-test2" in out
    code, out, _ = emi("labels", "layouts", "--json")
    rows = {row["name"]: row for row in map(json.loads, out.splitlines())}
    assert rows["hume-vidmimic2"]["targets"][0] == "Admiration"
    assert len(rows) >= 14
