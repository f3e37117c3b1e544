"""The whole job of `emi bench`: what is compared with what, and when it is not begun."""

import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.errors import ConfigError, ScoringError
from emi_model.speed.machine import Machine, Peak
from emi_model.speed.report import Speed
from emi_model.speed.throughput import ModelAlone
from flows import bench
from flows.bench import run_bench
from tasks.progress import Observer, observed_by, observer
from tests.tiny import BACKBONE

ALONE = ModelAlone(100, 400.0, 2.0, 4_000_000, "fp32", 8, 0.1, None)
"""100 clips in 2 s, 2 million operations a second."""


class Stages(Observer):
    """Keeps the stages, and the last count of the measurement."""

    def __init__(self):
        self.stages, self.counts = [], []

    def begin(self, stage, total, unit):
        self.stages.append((stage, total, unit))

    def reached(self, num_done, total):
        self.counts.append((num_done, total))


@pytest.fixture
def flow(monkeypatch):
    """Stands for the flow: it reports rows, and returns a run's row; its arguments are kept."""
    calls, outcome = [], {"num_scored": 3, "num_rejected": 0, "reasons": {}, "audio_seconds": 10.0}

    def process_corpus(source, results, model, **options):
        calls.append((source, results, model, options))
        observer().begin("scoring", 3, "clips")
        observer().advance(1)
        observer().advance(2)
        return outcome

    def measure(model, name, precisions, *, seconds, on_stage):
        on_stage("model alone, fp32")(1.0, 4.0)
        peak = Peak("fp32", 1e7, 9e6, (64, 64, 64), 1)
        machine = Machine("a processor", 1, None, "2", "Linux")
        (precision,) = precisions
        return Speed(machine, name, 1000, 0.5, {"fp32": peak}, None, {precision: ALONE})

    monkeypatch.setattr("flows.process.process_corpus", process_corpus)
    monkeypatch.setattr(bench, "measure", measure)
    threads = torch.get_num_threads()
    yield calls, outcome
    torch.set_num_threads(threads)


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A tiny model, which is the one with random weights too."""
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE)
    tiny = EmiModel(config).eval()
    monkeypatch.setattr(bench, "random_model", lambda: tiny)
    save_checkpoint(tmp_path / "model", tiny, ModelCard("tiny", config.targets))
    return tmp_path / "model"


def test_the_whole_job_is_compared_with_the_model_alone(flow, model, tmp_path):
    stages = Stages()
    with observed_by(stages):
        found = run_bench(str(model), tmp_path, precision="fp32", seconds=8.0, num_clips=3)
    ((source, results, reference, options),) = flow[0]
    assert (source, results) == (f"{tmp_path}/corpus", f"{tmp_path}/results")
    assert (reference, options["ray_address"]) == (str(model), "local")
    assert len(list((tmp_path / "corpus").rglob("*.mp4"))) == 3
    assert ("model alone, fp32", None, "s") in stages.stages
    assert stages.counts[0] == (2, 8)
    job = found.whole_job
    assert (job.num_clips, job.audio_seconds) == (3, 10.0)
    assert 0 < job.first_rows_seconds < job.seconds
    assert job.pipeline_cost == pytest.approx(job.seconds / (job.flops / ALONE.flops_per_second))
    assert 0 < job.steady_cost < job.pipeline_cost
    assert found.share_of_peak == pytest.approx(job.flops / job.seconds / 1e7)
    plain = found.to_dict()
    assert plain["whole_job"]["share_of_peak"] == found.share_of_peak
    rows = dict(found.rows())
    assert rows["corpus"].startswith("3 MP4 files")
    assert rows["pipeline cost: whole job over model alone"] == f"{job.pipeline_cost:.2f}"


def test_random_weights_are_saved_for_the_flow(flow, model, tmp_path):
    folder = tmp_path / "bench"
    folder.mkdir()
    run_bench(None, folder, precision="fp32", num_clips=3)
    ((_, _, reference, _),) = flow[0]
    assert reference == str(folder / "model")
    assert load_checkpoint(folder / "model").card.name == "bench"


def test_without_the_whole_job_nothing_is_written(flow, model, tmp_path):
    folder = tmp_path / "bench"
    folder.mkdir()
    found = run_bench(None, folder, precision="fp32", whole_job=False)
    assert (found.whole_job, found.share_of_peak) == (None, None)
    assert found.to_dict()["whole_job"] is None
    assert found.rows() == found.speed.rows()
    assert (list(folder.iterdir()), flow[0]) == ([], [])


def test_a_rejected_clip_is_no_measurement(flow, model, tmp_path):
    flow[1].update(num_scored=2, num_rejected=1, reasons={"out_of_memory": 1})
    with pytest.raises(ScoringError, match=r"1 of 3 clips were rejected \(.'out_of_memory': 1"):
        run_bench(str(model), tmp_path, precision="fp32", num_clips=3)


def test_a_full_disk_is_found_before_anything_is_written(flow, model, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "BYTES_A_CLIP", 10**15)
    with pytest.raises(ConfigError, match="MB free, expected 3000000000 MB"):
        run_bench(str(model), tmp_path, precision="fp32", num_clips=3)
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize(
    ("num_clips", "seconds", "expected"), [(100, 10.0, 600), (1, 60.0, 128), (10_000, 1.0, 8_192)]
)
def test_the_corpus_is_a_minutes_work_within_bounds(num_clips, seconds, expected):
    assert (
        bench._affordable(ModelAlone(num_clips, 1.0, seconds, 1, "fp32", 8, 0.0, None)) == expected
    )


def test_one_block_of_rows_has_no_steady_cost():
    clock = bench._Clock(Observer())
    clock.advance(3)
    assert clock.steady_seconds_per_clip(3, 1.0) is None
