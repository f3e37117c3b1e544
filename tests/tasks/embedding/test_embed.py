"""A corpus becomes a folder of vectors, a row a clip, and is done once."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.errors import StoreError
from tasks.embedding import embed
from tasks.embedding.embed import embed_corpus
from tasks.progress import Observer, observed_by
from tests.tiny import BACKBONE


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE, clip_seconds=0.25)
    save_checkpoint(tmp_path / "model", EmiModel(config).eval(), ModelCard("tiny", config.targets))
    return str(tmp_path / "model")


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "corpus" / "below").mkdir(parents=True)
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 8_000))
    soundfile.write(tmp_path / "corpus" / "a.wav", noise[0], 16_000)
    soundfile.write(tmp_path / "corpus" / "below" / "b.wav", noise[1, :3_000], 16_000)
    (tmp_path / "corpus" / "c.mp4").write_bytes(b"")
    return tmp_path / "corpus"


def rows_in(folder):
    found = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    rows = [row for table in found for row in table.to_pylist()]
    assert len({row["clip_id"] for row in rows}) == len(rows)
    return {row["clip_id"]: row for row in rows}


def test_a_row_a_clip_and_only_what_is_missing(corpus, model, tmp_path, monkeypatch):
    results = tmp_path / "vectors"
    report = embed_corpus(str(corpus), str(results), model)
    assert (report.num_embedded, report.num_skipped, report.size) == (2, 0, 35)
    assert report.reasons == {"unreadable": 1}
    rows = rows_in(results)
    assert rows.keys() == {"a.wav", "below/b.wav", "c.mp4"}
    assert (rows["a.wav"]["num_frames"], len(rows["a.wav"]["vector"])) == (12, 35)
    assert (rows["c.mp4"]["reason"], rows["c.mp4"]["vector"]) == ("unreadable", None)

    noise = np.random.default_rng(1).normal(0, 0.1, 4_000)
    soundfile.write(corpus / "below" / "b.wav", noise, 16_000)
    monkeypatch.setattr(embed, "CLIPS_A_FILE", 1)
    again = embed_corpus(str(corpus), str(results), model)
    assert (again.num_embedded, again.num_skipped) == (1, 2)
    assert rows_in(results)["below/b.wav"]["vector"] != rows["below/b.wav"]["vector"]
    assert rows_in(results)["a.wav"] == rows["a.wav"]


def test_frames_of_the_whole_clip(corpus, model, tmp_path):
    embed_corpus(str(corpus), str(tmp_path / "vectors"), model, full=True, frames=True)
    row = rows_in(tmp_path / "vectors")["a.wav"]
    assert np.shape(row["frames"]) == (row["num_frames"], 35) == (24, 35)
    assert np.allclose(np.mean(row["frames"], axis=0), row["vector"], atol=1e-6)


def test_vectors_of_two_kinds_are_not_mixed(corpus, model, tmp_path):
    embed_corpus(str(corpus), str(tmp_path / "vectors"), model)
    with pytest.raises(StoreError, match="embeddings are without frames: choose another folder"):
        embed_corpus(str(corpus), str(tmp_path / "vectors"), model, frames=True)
    with pytest.raises(StoreError, match="have coverage first, expected full"):
        embed_corpus(str(corpus), str(tmp_path / "vectors"), model, full=True)
    with pytest.raises(StoreError, match=r"holds .*wav, expected embeddings alone"):
        embed_corpus(str(corpus), str(corpus), model)


def test_a_full_disk_is_one_line_and_what_was_written_stays(corpus, model, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tasks.storage.local.place", full)
    with pytest.raises(StoreError, match=r"No space left on device.*run again"):
        embed_corpus(str(corpus), str(tmp_path / "vectors"), model)
    assert not list((tmp_path / "vectors").glob("*.parquet"))


def test_a_clip_that_could_not_be_fetched_is_tried_again(corpus, model, tmp_path, faulty):
    results = str(tmp_path / "vectors")
    faulty.objects["a.wav"] = (corpus / "a.wav").read_bytes()
    faulty.objects["b.wav"] = (corpus / "below" / "b.wav").read_bytes()
    faulty.faults["a.wav"] = (500, "InternalError")
    assert embed_corpus(faulty.uri, results, model).reasons == {"not_fetched": 1}
    faulty.faults.clear()
    again = embed_corpus(faulty.uri, results, model)
    assert (again.num_embedded, again.num_skipped) == (1, 1)
    rows = rows_in(tmp_path / "vectors")
    assert {name: row["reason"] for name, row in rows.items()} == {"a.wav": None, "b.wav": None}


def test_what_was_embedded_stays_where_a_command_is_interrupted(corpus, model, tmp_path):
    class Interrupted(Observer):
        def advance(self, num_done, note=""):
            raise KeyboardInterrupt

    results = str(tmp_path / "vectors")
    with pytest.raises(KeyboardInterrupt), observed_by(Interrupted()):
        embed_corpus(str(corpus), results, model)
    assert rows_in(tmp_path / "vectors").keys() == {"a.wav"}
    assert embed_corpus(str(corpus), results, model).num_skipped == 1
    assert len(rows_in(tmp_path / "vectors")) == 3
