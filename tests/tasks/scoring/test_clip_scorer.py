from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel, EmiOutput
from emi_model.audio.waveform import Int16Waveform
from emi_model.engine.model import RaggedModel
from emi_model.predict import Predictor, Scores
from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.corpus.listing import clip_file
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import pack
from tasks.extraction.rows import extract_clip
from tasks.schema.outcomes import Reason, rejected
from tasks.schema.scores import EXTRACTED, VAD_OF_MEAN, scored_schema
from tasks.schema.tables import SCORES, TIMELINE, WINDOWS
from tasks.scoring.clip_scorer import ClipScorer, score_columns, without_scores
from tasks.scoring.commit import RunStamp, tables_of
from tasks.store.store import ResultsStore
from tasks.store.views import connect

MakePredictor = Callable[..., Predictor]
MakeStamp = Callable[..., RunStamp]
Row = dict[str, Any]

EMI = [column_name(target) for target in EMI_TARGETS]
BIAS = [-1.0, 2.0, 0.4, 0.5, 0.6, 0.7]


@pytest.fixture(scope="session")
def make_predictor() -> MakePredictor:
    """Return a function that makes a tiny model with random weights; it hears 2 s at once."""

    def make(clip_seconds: float = 2.0, **fields: Any) -> Predictor:
        # The pool of a second thread is many times slower where the cores have other work.
        torch.set_num_threads(1)
        torch.manual_seed(0)
        backbone = {
            "hidden_size": 8,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 8,
            "conv_dim": [4] * 7,
            "num_conv_pos_embeddings": 4,
            "num_conv_pos_embedding_groups": 2,
            "feat_extract_norm": "layer",
            "do_stable_layer_norm": True,
            "vocab_size": None,
        }
        config = EmiConfig(backbone=backbone, clip_seconds=clip_seconds, **fields)
        model = EmiModel(config)
        if config.targets == EMI_TARGETS:
            model.fusion.layers[-1].bias.data = torch.tensor(BIAS)  # type: ignore[union-attr]
        return Predictor(model, device="cpu", precision="fp32")

    return make


@pytest.fixture(scope="session")
def predictor(make_predictor: MakePredictor) -> Predictor:
    return make_predictor()


def noise(num_samples: int, seed: int = 0) -> NDArray[np.int16]:
    """Return noise whose loudness wanders, so that no two seconds are alike."""
    loudness = 3_000 * (1.1 + np.sin(np.arange(num_samples) / 5_000 + seed))
    samples = np.random.default_rng(seed).standard_normal(num_samples) * loudness
    return samples.clip(-32_768, 32_767).astype(np.int16)


def extracted(waveform: NDArray[np.int16], clip_id: str = "a.mp4") -> Row:
    """Return the row of a clip that was extracted well."""
    row: Row = dict.fromkeys(EXTRACTED.names)
    return row | {
        "clip_id": clip_id,
        "uri": f"file:///{clip_id}",
        "status": "scored",
        "duration_seconds": len(waveform) / 16_000,
        "flags": ["silent"],
        "inputs": [pack("audio", waveform)],
    }


def values(row: Row, columns: list[str] | tuple[str, ...]) -> NDArray[np.float64]:
    return np.array([row[column] for column in columns], np.float64)


def scores_of(predictor: Predictor, waveform: NDArray[np.int16]) -> Scores:
    (scores,) = predictor([waveform])
    assert isinstance(scores, Scores)
    return scores


class TestFromMediaToStore:
    def test_real_clips_fit_the_schemas(
        self,
        make_media: Callable[..., Path],
        prober: Prober,
        predictor: Predictor,
        store: ResultsStore,
        make_stamp: MakeStamp,
    ) -> None:
        paths = [
            make_media(
                "film.mp4", "-c:v", "libx264", "-c:a", "aac", seconds=5.0, picture_seconds=1
            ),
            make_media("silent.wav", "-af", "volume=0", seconds=1.2),
            make_media("short.wav", seconds=0.024),
            make_media("text.wav"),
        ]
        paths[3].write_text("a text")
        clips = [clip_file(path.name, bytes(path)) for path in paths]
        rows = [
            extract_clip(clip, max_seconds=None, timeout_seconds=30, prober=prober)
            for clip in clips
        ]
        scored = ClipScorer(predictor, "full")(rows)
        assert [row["reason"] for row in scored] == [None, None, "too_short", "unreadable"]
        assert scored[2]["duration_seconds"] == 0.024
        table = pa.Table.from_pylist(scored, scored_schema(EMI_TARGETS))
        tables = tables_of(table, make_stamp(coverage="full"))
        store.commit("part", tables)
        assert [tables[name].num_rows for name in (SCORES, TIMELINE, WINDOWS)] == [4, 7, 4]
        with connect(store.location) as connection:
            told = "clip_id, flags, round(scored_seconds, 1), num_frames, joy BETWEEN 0 AND 1"
            assert connection.sql(f"SELECT {told} FROM scores ORDER BY clip_id").fetchall() == [
                ("film.mp4", [], 5.0, 99 + 99 + 49, True),
                ("short.wav", [], None, None, None),
                ("silent.wav", ["silent"], 1.2, 59, True),
                ("text.wav", [], None, None, None),
            ]


class TestFirst:
    def test_columns_are_what_the_model_says(self, predictor: Predictor) -> None:
        waveform = noise(24_000)
        (row,) = ClipScorer(predictor, "first")([extracted(waveform)])
        found = scores_of(predictor, waveform)
        assert found.emi is not None
        assert found.emi.min() < 0 < 1 < found.emi.max()
        assert values(row, EMI) == pytest.approx(found.emi.clip(0, 1), abs=1e-6)
        assert values(row, VAD_DIMENSIONS) == pytest.approx(found.vad_mean, abs=1e-6)
        assert values(row, VAD_OF_MEAN) == pytest.approx(found.vad_of_mean, abs=1e-6)
        assert (row["scored_seconds"], row["num_frames"], row["windows"]) == (1.5, 74, [])
        assert (row["flags"], row["clip_id"]) == (["silent"], "a.mp4")
        assert "inputs" not in row

    def test_raw_leaves_emi_as_it_is(self, predictor: Predictor) -> None:
        waveform = noise(32_000)
        (row,) = ClipScorer(predictor, "first", raw=True)([extracted(waveform)])
        assert values(row, EMI) == pytest.approx(scores_of(predictor, waveform).emi, abs=1e-6)
        assert row["admiration"] < 0 < 1 < row["amusement"]

    def test_seconds_cover_the_clip_and_their_mean_is_the_clips(self, predictor: Predictor) -> None:
        (row,) = ClipScorer(predictor, "first")([extracted(noise(28_800))])
        assert [item["second"] for item in row["timeline"]] == [0, 1]
        assert [item["num_frames"] for item in row["timeline"]] == [50, 39]
        seconds = np.array([values(item, VAD_DIMENSIONS) for item in row["timeline"]])
        assert np.ptp(seconds, axis=0).min() > 1e-5
        mean = np.average(seconds, axis=0, weights=[50, 39])
        assert values(row, VAD_DIMENSIONS) == pytest.approx(mean, abs=1e-6)

    def test_neighbours_and_order_do_not_matter(self, predictor: Predictor) -> None:
        lengths = [32_000, 400, 20_000, 399, 31_999, 7_777]
        rows = [extracted(noise(length, length), str(length)) for length in lengths]
        score = ClipScorer(predictor, "first")
        together = {row["clip_id"]: row for row in score(rows[::-1])}
        assert list(together) == [str(length) for length in lengths[::-1]]
        for row in rows:
            (alone,) = score([row])
            other = together[row["clip_id"]]
            assert alone["reason"] == other["reason"]
            if alone["reason"] is None:
                columns = score_columns(EMI_TARGETS)
                assert values(alone, columns) == pytest.approx(values(other, columns), abs=1e-5)
        assert score([]) == []

    @pytest.mark.parametrize(("num_samples", "reason"), [(399, "too_short"), (400, None)])
    def test_one_frame_is_the_least(
        self, num_samples: int, reason: str | None, predictor: Predictor
    ) -> None:
        (row,) = ClipScorer(predictor, "first")([extracted(noise(num_samples))])
        assert row["reason"] == reason
        assert row["num_frames"] == (None if reason else 1)
        assert row["duration_seconds"] == num_samples / 16_000
        if reason:
            assert row["status"] == "rejected"
            assert row["detail"] == "399 samples at 16000 Hz; one frame of this model needs 400"

    def test_a_rejection_passes_through(self, predictor: Predictor) -> None:
        row = rejected(extracted(noise(10)), Reason.TIMEOUT, "words") | {"extract_seconds": 1.5}
        (scored,) = ClipScorer(predictor, "first")([row])
        assert scored == without_scores(row, EMI_TARGETS)
        assert (scored["reason"], scored["detail"]) == ("timeout", "words")
        assert (scored["timeline"], scored["windows"], scored["joy"]) == ([], [], None)
        assert scored["extract_seconds"] == 1.5

    def test_out_of_memory_is_a_rejection_of_that_clip_alone(
        self, make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = RaggedModel.__call__

        def refuse(model: RaggedModel, waveforms: Sequence[Int16Waveform]) -> EmiOutput:
            if max(map(len, waveforms)) > 30_000:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 TiB")
            return run(model, waveforms)

        predictor = make_predictor()
        monkeypatch.setattr(RaggedModel, "__call__", refuse)
        rows = [extracted(noise(length)) for length in (29_000, 31_000, 29_500)]
        scored = ClipScorer(predictor, "first")(rows)
        assert [row["reason"] for row in scored] == [None, "out_of_memory", None]
        assert scored[1]["detail"] == "CUDA out of memory. Tried to allocate 1 TiB"
        assert scored[1]["joy"] is None


class TestFull:
    @pytest.mark.parametrize(
        ("num_samples", "windows"),
        [
            (80_000, [(0, 2), (2, 4), (4, 5)]),
            (64_000, [(0, 2), (2, 4)]),
            (64_399, [(0, 2), (2, 4)]),
            (64_400, [(0, 2), (2, 4), (4, 4.025)]),
            (1_600, [(0, 0.1)]),
        ],
    )
    def test_windows_tile_the_clip(
        self, num_samples: int, windows: list[tuple[float, float]], predictor: Predictor
    ) -> None:
        (row,) = ClipScorer(predictor, "full")([extracted(noise(num_samples))])
        found = [(item["start_seconds"], item["end_seconds"]) for item in row["windows"]]
        assert found == windows
        assert [item["window_index"] for item in row["windows"]] == list(range(len(windows)))
        assert row["scored_seconds"] == windows[-1][1]
        assert row["num_frames"] == sum(item["num_frames"] for item in row["windows"])
        assert row["num_frames"] == sum(item["num_frames"] for item in row["timeline"])

    def test_the_clip_is_the_mean_of_its_windows_by_duration(self, predictor: Predictor) -> None:
        waveform = noise(80_000)
        (row,) = ClipScorer(predictor, "full")([extracted(waveform)])
        for window, (start, end) in zip(row["windows"], [(0, 2), (2, 4), (4, 5)], strict=True):
            alone = scores_of(predictor, waveform[start * 16_000 : end * 16_000])
            assert values(window, VAD_DIMENSIONS) == pytest.approx(alone.vad_mean, abs=1e-5)
        columns = score_columns(EMI_TARGETS)
        of_windows = np.array([values(window, columns) for window in row["windows"]])
        mean = (2 * of_windows[0] + 2 * of_windows[1] + of_windows[2]) / 5
        assert values(row, columns) == pytest.approx(mean, abs=1e-6)

    def test_a_frame_counts_where_it_starts(self, make_predictor: MakePredictor) -> None:
        predictor = make_predictor(clip_seconds=1.5)
        waveform = noise(60_000)
        (row,) = ClipScorer(predictor, "full")([extracted(waveform)])
        frames: dict[int, list[NDArray[np.float32]]] = {}
        for start in (0, 24_000, 48_000):
            frame_vad = scores_of(predictor, waveform[start : start + 24_000]).frame_vad
            assert frame_vad is not None
            for index, vad in enumerate(frame_vad):
                frames.setdefault((start + 320 * index) // 16_000, []).append(vad)
        assert [item["second"] for item in row["timeline"]] == sorted(frames) == [0, 1, 2, 3]
        for item in row["timeline"]:
            own = frames[item["second"]]
            assert item["num_frames"] == len(own)
            assert values(item, VAD_DIMENSIONS) == pytest.approx(np.mean(own, axis=0), abs=1e-5)


class TestOtherModels:
    def test_vad_alone(
        self, make_predictor: MakePredictor, store: ResultsStore, make_stamp: MakeStamp
    ) -> None:
        rows = ClipScorer(make_predictor(targets=()), "full")([extracted(noise(40_000))])
        table = pa.Table.from_pylist(rows, scored_schema(()))
        store.commit("part", tables_of(table, make_stamp(targets=())))
        with connect(store.location) as connection:
            null = " IS NULL AND ".join(EMI)
            sql = f"SELECT {null} IS NULL, arousal + valence_of_mean <> 0 FROM scores"
            assert connection.sql(sql).fetchall() == [(True, True)]
            assert connection.sql("SELECT count(valence) FROM timeline").fetchall() == [(3,)]

    def test_emi_alone_and_other_targets(self, make_predictor: MakePredictor) -> None:
        targets = ("Awe", "Sheer Joy")
        predictor = make_predictor(targets=targets, vad_head=False)
        (row,) = ClipScorer(predictor, "full", raw=True)([extracted(noise(40_000))])
        assert pa.Table.from_pylist([row], scored_schema(targets)).num_rows == 1
        assert np.isfinite(values(row, ["awe", "sheer_joy"])).all()
        assert (row["arousal"], row["valence_of_mean"], row["timeline"]) == (None, None, [])
        assert len(row["windows"]) == 2
