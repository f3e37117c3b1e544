"""The main job as a plain function: without Prefect, and how its end is reported."""

import threading
from datetime import datetime, timedelta

import pyarrow as pa
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.errors import StoreError
from tasks.progress import Observer, observed_by
from tasks.scoring.commit import tables_of
from tasks.scoring.job import store_lock
from tasks.scoring.run import score_corpus
from tasks.store.query import answer
from tasks.store.store import create_store
from tests.tiny import BACKBONE


class Stages(Observer):
    """Keeps the stages that it is told of."""

    def __init__(self):
        self.seen, self.notes = [], []

    def begin(self, stage, total, unit):
        self.seen.append(stage)

    def note(self, line):
        self.notes.append(line)


def test_a_store_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.scoring.job.STOP_POLL_SECONDS", 0.01)
    store, stages = create_store(tmp_path / "store"), Stages()
    with store.lock():
        with pytest.raises(StoreError, match="another run"), store_lock(store, 0):
            pass
        with pytest.raises(StoreError, match="another run"), store_lock(store, 0.0005):
            pass
        threading.Timer(0.1, lambda: None).start()
    held = store.lock()
    held.__enter__()
    release = threading.Timer(0.1, held.__exit__, (None, None, None))
    release.start()
    with observed_by(stages), store_lock(store, 1):
        assert "waiting for another run" in stages.seen
    release.join()


def test_what_no_wait_heals_is_not_waited_for(tmp_path):
    store, stages = create_store(tmp_path / "store"), Stages()
    (tmp_path / "store" / ".lock").mkdir()
    with (
        observed_by(stages),
        pytest.raises(StoreError, match="cannot be locked"),
        store_lock(store, 0.0005),
    ):
        pass
    assert stages.seen == []


def test_what_goes_wrong_inside_is_not_waited_for(tmp_path):
    store = create_store(tmp_path / "store")
    with pytest.raises(StoreError, match="full"), store_lock(store, 1):
        raise StoreError("the disk is full")
    with store.lock():
        pass


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny checkpoint with random weights."""
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(folder, EmiModel(config).eval(), ModelCard("tiny", config.targets))
    return str(folder)


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.wav").write_bytes(b"never opened")
    return str(tmp_path / "corpus")


def stage_that_raises(error):
    def stage(run, plan, pool, ray_address):
        assert [clip.clip_id for clip in plan.todo] == ["a.wav"]
        raise error

    return stage


def interrupted_in_compiled_code():
    error = SystemError("returned a result with an exception set")
    error.__cause__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize(
    ("error", "raised", "state"),
    [
        (ValueError("first line\nsecond"), ValueError, "failed"),
        (KeyboardInterrupt(), KeyboardInterrupt, "interrupted"),
        (interrupted_in_compiled_code(), KeyboardInterrupt, "interrupted"),
    ],
)
def test_a_run_that_does_not_complete_is_recorded(tmp_path, corpus, model, error, raised, state):
    results, reports = str(tmp_path / "store"), []
    with pytest.raises(raised):
        score_corpus(
            corpus,
            results,
            model,
            on_end=lambda row, location: reports.append((row["state"], location)),
            score_stage=stage_that_raises(error),
        )
    assert reports == [(state, results)]
    (row,) = answer(results, "SELECT state, message, num_listed FROM runs").to_pylist()
    message = "first line" if state == "failed" else "interrupted"
    assert row == {"state": state, "message": message, "num_listed": 1}


def test_another_kind_of_interrupt_can_be_named(tmp_path, corpus, model):
    class Cancelled(BaseException):
        pass

    stage, results = stage_that_raises(Cancelled()), str(tmp_path / "store")
    with pytest.raises(Cancelled):
        score_corpus(corpus, results, model, interrupts=(Cancelled,), score_stage=stage)
    assert answer(results, "SELECT state FROM runs").to_pylist() == [{"state": "interrupted"}]


def test_a_clip_that_disappears_fails_the_run(tmp_path, corpus, model):
    with pytest.raises(StoreError, match="listed 1 clips"):
        score_corpus(corpus, str(tmp_path / "store"), model, score_stage=lambda *_: None)


def test_what_is_no_clip_is_said_at_the_start_and_kept(tmp_path, corpus, model):
    for name in ("._a.wav", "notes.txt", "b.txt", "@eaDir/a.wav/x.mp4"):
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).write_bytes(b"abc")
    results, stages = str(tmp_path / "store"), Stages()
    with observed_by(stages), pytest.raises(ValueError, match="enough"):
        score_corpus(corpus, results, model, score_stage=stage_that_raises(ValueError("enough")))
    assert stages.notes == ["passed over: 2 .txt, 1 ._*, 1 @eadir"]
    (row,) = answer(results, "SELECT num_listed, passed_over FROM runs").to_pylist()
    assert row["num_listed"] == 1
    assert dict(row["passed_over"]) == {".txt": 2, "._*": 1, "@eadir": 1}


@pytest.fixture
def scored(make_rows, tmp_path, model):
    """Return a function that scores a corpus with made-up rows; it returns the clips shown."""

    def commit_rows(run, plan, pool, ray_address):
        if plan.todo:
            uris = {clip.clip_id: clip.uri for clip in plan.todo}
            made = [make_rows(clip_id, uri=uri, flags=["silent"]) for clip_id, uri in uris.items()]
            rows = pa.concat_tables(made)
            run.store.commit(f"{run.stamp.run_id}-0", tables_of(rows, run.stamp))
            run.tally.add(rows)

    def score(corpus, *, other=model, **options):
        row = score_corpus(
            corpus, str(tmp_path / "store"), other, score_stage=commit_rows, **options
        )
        assert row["flags"] == ({"silent": row["num_scored"]} if row["num_scored"] else {})
        found = answer(tmp_path / "store", "SELECT clip_id, coverage FROM scores ORDER BY ALL")
        return [tuple(one.values()) for one in found.to_pylist()]

    return score


def test_scores_are_one_row_a_clip_that_is_there(tmp_path, corpus, scored):
    (tmp_path / "corpus" / "b.wav").write_bytes(b"neither")
    assert scored(corpus) == [("a.wav", "first"), ("b.wav", "first")]
    assert scored(corpus, coverage="full") == [("a.wav", "full"), ("b.wav", "full")]
    (tmp_path / "corpus" / "b.wav").unlink()
    assert scored(corpus, limit=1, coverage="first") == [("a.wav", "full"), ("b.wav", "full")]
    assert scored(corpus, coverage="first") == [("a.wav", "first")]
    assert answer(tmp_path / "store", "FROM all_scores").num_rows == 4
    assert answer(tmp_path / "store", "FROM trusted_scores").num_rows == 0


def test_a_run_records_a_corpus_that_any_folder_finds(tmp_path, corpus, scored, monkeypatch):
    """`emi verify --repair`, called elsewhere, scores its clips again."""
    monkeypatch.chdir(tmp_path)
    scored("corpus")
    assert answer(tmp_path / "store", "SELECT source FROM runs").to_pylist() == [{"source": corpus}]


class Ahead(datetime):
    """A clock that is a day ahead."""

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(days=1)


def test_new_rows_count_although_the_clock_was_ahead_before(tmp_path, corpus, scored, monkeypatch):
    newest = "SELECT run_id = (SELECT max_by(run_id, started_at) FROM runs) AS is_new FROM scores"
    with monkeypatch.context() as patch:
        patch.setattr("tasks.scoring.commit.datetime", Ahead)
        scored(corpus)
    scored(corpus, rescore=True)
    assert answer(tmp_path / "store", newest).to_pylist() == [{"is_new": True}]
    (tmp_path / "corpus" / "a.wav").write_bytes(b"another content")
    scored(corpus)
    assert answer(tmp_path / "store", newest).to_pylist() == [{"is_new": True}]


def test_a_champion_is_shown_until_another_has_scored(tmp_path, corpus, scored, monkeypatch):
    torch.manual_seed(1)
    config = EmiConfig(backbone=BACKBONE)
    save_checkpoint(tmp_path / "other", EmiModel(config).eval(), ModelCard("b", config.targets))
    shown = "SELECT model FROM scores"
    with monkeypatch.context() as patch:
        patch.setattr("tasks.scoring.run.is_champion", lambda _: True)
        scored(corpus)
    scored(corpus, other=str(tmp_path / "other"))
    assert answer(tmp_path / "store", shown).to_pylist() == [{"model": "tiny"}]
    assert answer(tmp_path / "store", "FROM all_scores").num_rows == 2
