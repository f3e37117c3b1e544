"""`datasets` reads the audio folder; clips that cannot be taken are left out and counted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import datasets
import pytest

from emi_model.errors import ExportError
from tasks.exports.export import write_export
from tasks.store.store import create_store
from tests.tasks.exports.made_store import LICENCE, put_rows, scored_row


def test_the_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = tmp_path / "corpus"
    rows = []
    for name, content in {"test/a.wav": b"one", "test/a.mp3": b"two", "changed.wav": b"x"}.items():
        path = corpus / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        rows.append(scored_row(name, len(rows) / 8, uri=str(path), content_sha256=digest))
    (corpus / "changed.wav").write_bytes(b"y")
    rows += [scored_row("gone.wav", 0.5), scored_row("odd.xyz", 0.5), scored_row("no.wav", None)]
    store = create_store(tmp_path / "store")
    put_rows(store, "p1", rows)
    done = write_export("huggingface", store.location, str(tmp_path / "hub"))
    assert (done.num_clips, sum(done.left_out.values())) == (2, 4)
    assert set(done.left_out) == {
        "its file is gone, or cannot be read",
        "its file was changed after it was scored",
        "of a format that an audio folder does not take",
        "rejected, so no scores",
    }
    cache = str(tmp_path / "cache")
    found = datasets.load_dataset(str(tmp_path / "hub"), cache_dir=cache, streaming=True)
    assert list(found) == ["train"]
    assert isinstance(found["train"].features["audio"], datasets.Audio)
    # as paths: to decode them, `datasets` needs torchcodec
    rows = list(found["train"].cast_column("audio", datasets.Value("string")))
    assert {row["clip_id"]: row["joy"] for row in rows} == {"test/a.wav": 0.0, "test/a.mp3": 0.125}
    for row in rows:
        assert Path(row["audio"]).read_bytes() == (corpus / row["clip_id"]).read_bytes()
        assert "uri" not in row
    card = (tmp_path / "hub/README.md").read_text()
    assert f"weights under: {LICENCE}" in card
    assert "- no_audio_track: 1" in card


def test_no_file_is_no_folder(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store")
    put_rows(store, "p1", [scored_row("gone.wav", 0.5)])
    with pytest.raises(ExportError, match="no clip's file can be taken: its file is gone"):
        write_export("huggingface", store.location, str(tmp_path / "hub"))
    assert not (tmp_path / "hub").exists()
