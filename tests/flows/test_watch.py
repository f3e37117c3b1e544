"""The watch: what it finds, which events it sends, what it refuses."""

import os
import time

import pytest

from emi_model.errors import ConfigError, LabelError
from flows import watch as watching
from tasks.labels.add_labels import describe_snapshots
from tasks.labels.inbox import Terms
from tasks.labels.splits import Shares


@pytest.fixture
def watch(monkeypatch):
    """The plain function of the flow, with those of its tasks: no server, no waiting."""
    monkeypatch.setattr("tasks.labels.inbox.PAUSE_SECONDS", 0.0)
    for task in (watching.take_labels, watching.find_clips):
        monkeypatch.setattr(watching, task.fn.__name__, task.fn)
    return watching.watch.fn


def settled(path, content):
    """Write a file that nobody has touched for a minute."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    moment = time.time() - 60
    os.utime(path, (moment, moment))


@pytest.fixture
def corpus(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        settled(tmp_path / "corpus" / name, name)
    return str(tmp_path / "corpus")


def test_clips_without_a_row_are_announced(watch, corpus, tmp_path, sent):
    results = f"{tmp_path}/results"
    found = watch(corpus, results)
    assert found == {"num_new": 2, "num_waiting": 0, "num_refused": 0, "label_files": []}
    payload = {"store": results, "corpus": corpus, "num_new": 2}
    assert sent == [("emi.corpus.changed", f"emi.store.{results}", payload)]


def test_a_corpus_that_is_still_empty_is_logged_and_nothing_is_sent(watch, tmp_path, sent, caplog):
    (tmp_path / "empty").mkdir()
    assert watch(f"{tmp_path}/empty", f"{tmp_path}/results")["num_new"] == 0
    assert sent == []
    assert "no media file" in caplog.text


def test_label_files_are_added_once_and_refusals_reported(watch, corpus, tmp_path, sent):
    labels, inbox = f"{tmp_path}/labels", tmp_path / "inbox"
    settled(inbox / "good.csv", "filename,joy,note\na,0.5,1\nb,0.25,1\n")
    settled(inbox / "bad.csv", "filename,joy\na,7\n")
    (inbox / "young.csv").write_text("filename,joy\na,0.5\n")
    terms = Terms(Shares(0.5), 3, ("joy",))
    found = watching.look(corpus, None, str(inbox), labels, terms)
    assert (found["num_new"], found["num_waiting"], found["num_refused"]) == (0, 1, 1)
    outcomes = {file["name"]: file["outcome"] for file in found["label_files"]}
    assert outcomes == {"good.csv": "taken", "bad.csv": "refused", "young.csv": "waiting"}
    (snapshot,) = describe_snapshots(labels)
    assert snapshot["clips_by_split"] == {"train": 1, "valid": 1, "test": 0}
    assert snapshot["targets"] == ["joy"]
    ((event, resource, payload),) = sent
    assert (event, resource) == ("emi.labels.added", f"emi.store.{labels}")
    assert (payload["snapshot"], payload["number"]) == (snapshot["snapshot"], 1)
    again = watch(corpus, label_inbox=str(inbox), labels=labels)["label_files"]
    assert [file["name"] for file in again] == ["young.csv"]
    assert len(sent) == 1


def test_labels_whose_event_no_server_took_are_sent_by_the_next_look(
    watch, corpus, tmp_path, monkeypatch
):
    labels, inbox = f"{tmp_path}/labels", tmp_path / "inbox"
    settled(inbox / "good.csv", "filename,joy\na,0.5\nb,0.25\n")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr(watching, "show_label_files", lambda _: None)
    answers, sent = [False, True], []
    monkeypatch.setattr(
        "flows.server.events.emit", lambda *event: sent.append(event) or answers.pop(0)
    )
    (lost,) = watch(corpus, label_inbox=str(inbox), labels=labels)["label_files"]
    assert lost["said"].endswith("did not take the event: the next look sends it again")
    (again,) = watch(corpus, label_inbox=str(inbox), labels=labels)["label_files"]
    assert (again["outcome"], again["snapshot"]) == ("taken", lost["snapshot"])
    assert watch(corpus, label_inbox=str(inbox), labels=labels)["label_files"] == []
    assert sent[0] == sent[1]
    assert (len(sent), len(describe_snapshots(labels))) == (2, 1)


def test_a_refused_file_fails_the_run_and_says_so_beside_it(watch, corpus, tmp_path, sent):
    labels, inbox = f"{tmp_path}/labels", tmp_path / "inbox"
    settled(inbox / "good.csv", "filename,joy\na,0.5\nb,0.25\n")
    settled(inbox / "bad.csv", "filename,joy\na,7\n")
    with pytest.raises(LabelError, match=r"files were refused: bad.csv: bad.csv\.refused.txt"):
        watch(corpus, label_inbox=str(inbox), labels=labels)
    assert len(sent) == 1  # the good one is taken all the same
    assert "7" in (inbox / "bad.csv.refused.txt").read_text()
    assert not (inbox / "good.csv.refused.txt").exists()
    settled(inbox / "bad.csv", "filename,joy\na,0.75\n")
    found = watch(corpus, label_inbox=str(inbox), labels=labels)
    assert [file["outcome"] for file in found["label_files"]] == ["taken"]
    assert not (inbox / "bad.csv.refused.txt").exists()


@pytest.mark.parametrize(
    ("places", "expected"),
    [({}, "nothing to watch"), ({"label_inbox": "/inbox"}, "/inbox: no store named")],
)
def test_a_watch_of_nothing_is_refused(watch, corpus, places, expected):
    with pytest.raises(ConfigError, match=expected):
        watch(corpus, **places)
