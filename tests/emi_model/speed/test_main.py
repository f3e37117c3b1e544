"""The measurement of speed: what it counts, what it draws, and what its script says."""

import dataclasses
import json
import math
import wave

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from emi_model.architecture.branch import Padded
from emi_model.architecture.config import EmiConfig
from emi_model.errors import EXIT_USAGE, ConfigError, CorpusError
from emi_model.predict import Predictor
from emi_model.speed import machine
from emi_model.speed.__main__ import main
from emi_model.speed.flops import FlopCounter
from emi_model.speed.measure import measure, random_model
from emi_model.speed.media_files import decode_media, find_media, measure_files
from emi_model.speed.noise_clips import (
    Z_95,
    draw_seconds,
    log_normal,
    noise_waveforms,
    typical_seconds,
)
from emi_model.speed.throughput import model_alone, plain_way

MEDIUM = {
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "intermediate_size": 512,
    "conv_dim": [32, 32, 48, 48, 64, 64, 96],
    "num_conv_pos_embeddings": 31,
    "num_conv_pos_embedding_groups": 8,
}


@pytest.fixture
def small_products(monkeypatch):
    """Products of matrices that take no time: which size is the fastest is not asked here."""
    monkeypatch.setitem(machine.SIZES, "cpu", ((64, 64, 64), (64, 128, 32)))
    monkeypatch.setattr("emi_model.speed.measure.PEAK_SECONDS", 0.01)


@pytest.fixture
def media(tmp_path):
    """Two files with something to hear, one blink, one that is no media."""
    for name, samples in {"b/one.wav": 40_000, "two.wav": 24_000, "blink.wav": 100}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        (waveform,) = noise_waveforms([samples / 16_000])
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(waveform.tobytes())
    (tmp_path / "notes.txt").write_text("nothing to hear")
    return tmp_path


@given(mean=st.floats(0.1, 1e3), times=st.floats(1.0, 3.86))
def test_a_log_normal_has_the_mean_and_percentile_asked_for(mean, times):
    mu, sigma = log_normal(mean, mean * times)
    assert sigma >= 0
    assert math.exp(mu + sigma**2 / 2) == pytest.approx(mean)
    assert math.exp(mu + Z_95 * sigma) == pytest.approx(mean * times)


@pytest.mark.parametrize(("mean", "percentile"), [(7, 6), (0, 1), (1, 3.9), (-1, -2)])
def test_what_no_log_normal_has_is_refused(mean, percentile):
    with pytest.raises(ConfigError, match="expected a mean above 0"):
        log_normal(mean, percentile)


def test_durations_are_the_challenges():
    seconds = draw_seconds(50_000, seed=3)
    assert (seconds.min() >= 0.1, seconds.max()) == (True, 12.0)
    assert np.percentile(seconds, 95) == pytest.approx(11.5, rel=0.02)
    assert seconds.mean() == pytest.approx(6.9, rel=0.02)
    assert (seconds == draw_seconds(50_000, seed=3)).all()
    assert typical_seconds(101).mean() == pytest.approx(seconds.mean(), rel=0.02)


def test_what_is_heard_has_its_duration_and_no_twin():
    waveforms = noise_waveforms([1.0, 1.0, 45.0], seed=5)
    assert [len(waveform) for waveform in waveforms] == [16_000, 16_000, 720_000]
    assert all(waveform.dtype == np.int16 for waveform in waveforms)
    assert (waveforms[0] != waveforms[1]).mean() > 0.9
    assert 1_000 < waveforms[2].std() < 10_000


@pytest.mark.parametrize("fields", [{}, {"regression_head": False}, {"vad_head": False}])
@pytest.mark.parametrize("backbone", [{}, MEDIUM])
@pytest.mark.parametrize("num_samples", [400, 16_000, 100_003])
def test_operations_are_those_that_pytorch_counts(tiny_model, backbone, fields, num_samples):
    model = tiny_model(backbone=backbone, lstm=False, **fields)
    model.audio.backbone.wav2vec2.set_attn_implementation("eager")  # the fused one is not counted
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model({"audio": Padded(torch.randn(1, num_samples), torch.tensor([num_samples]))})
    counted = FlopCounter(model.config)(num_samples)
    assert counted.total == pytest.approx(counter.get_total_flops(), rel=0.001)
    assert counted.lstm == 0


def test_operations_of_the_lstm_are_a_product_a_weight_and_frame(tiny_model):
    model = tiny_model(lstm_layers=3)
    weights = sum(
        weight.numel()
        for name, weight in model.fusion.lstm.named_parameters()
        if name.startswith("weight")
    )
    assert FlopCounter(model.config)(16_000).lstm == 2 * 49 * weights


def test_operations_of_the_full_model():
    counted = FlopCounter(EmiConfig())(int(6.9 * 16_000))
    assert counted.backbone / 6.9 == pytest.approx(21e9, rel=0.05)
    longer = FlopCounter(EmiConfig())(int(13.8 * 16_000))
    assert longer.attention == pytest.approx(4 * counted.attention, rel=0.01)
    assert longer.linear == pytest.approx(2 * counted.linear, rel=0.01)


def test_a_peak_is_found_in_every_type(small_products):
    for numerics in ("fp32", "bf16", "int8"):
        peak = machine.matrix_peak(torch.device("cpu"), numerics, seconds=0.01)
        assert (peak.numerics, peak.threads) == (numerics, torch.get_num_threads())
        assert peak.flops_per_second >= peak.median_flops_per_second > 0
        assert peak.shape in machine.SIZES["cpu"]


@pytest.mark.parametrize(("numerics", "ways"), [("fp32", 2), ("bf16", 2), ("int8", 1)])
def test_a_peak_is_that_of_the_faster_of_equal_products(numerics, ways):
    products = machine.ways_to_multiply(torch.device("cpu"), numerics, (64, 48, 32))
    first, *others = [multiply() for multiply in products]
    assert (len(others) + 1, first.shape) == (ways, (64, 32))
    for other in others:
        torch.testing.assert_close(other, first, rtol=0.01, atol=0.05)


def test_the_model_alone_counts_what_it_scored(tiny_model):
    predictor = Predictor(tiny_model(), precision="fp32", device="cpu")
    told = []
    found = model_alone(predictor, 0.01, on_progress=lambda *done: told.append(done))
    assert (found.num_clips, found.clips_per_call) == (16, 16)
    assert found.audio_seconds == pytest.approx(draw_seconds(16, (1, 0)).sum(), abs=0.01)
    assert found.numerics == "fp32"
    assert found.gpu_peak_bytes is None
    assert 0 <= found.padding_share < 0.5
    assert found.audio_hours_per_hour == pytest.approx(found.audio_seconds / found.seconds)
    assert told == [(0.01, 0.01)]


def test_the_plain_way_takes_all_its_clips(tiny_model):
    model = tiny_model()
    found = plain_way(model, torch.device("cpu"), 0.001)
    assert found.num_clips == 8
    assert found.audio_seconds == pytest.approx(typical_seconds(8).sum(), abs=0.001)
    lengths = [int(seconds * 16_000 + 0.5) for seconds in typical_seconds(8)]
    assert found.flops == sum(FlopCounter(model.config)(length).total for length in lengths)


def test_files_are_decoded_and_scored(tiny_model, media):
    predictor = Predictor(tiny_model(), precision="fp32", device="cpu")
    found = measure_files(predictor, find_media(media), decoders=2, clips_per_call=3)
    assert (found.num_clips, found.num_failed, found.decoders) == (2, 2, 2)
    assert found.audio_seconds == pytest.approx(4.0)
    assert 0 < found.busy_share <= 1
    assert (decode_media(media / "two.wav", 192_000) == noise_waveforms([1.5])[0]).all()
    assert len(decode_media(media / "two.wav", 8_000)) == 8_000


def test_files_that_are_none_are_said(tiny_model, media, tmp_path):
    predictor = Predictor(tiny_model(), precision="fp32", device="cpu")
    with pytest.raises(CorpusError, match="none of them with audio"):
        measure_files(predictor, [media / "notes.txt"], decoders=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="found no file"):
        find_media(tmp_path / "empty")


def test_random_weights_leave_chance_alone():
    state = torch.get_rng_state()
    one, other = random_model(1, 32), random_model(1, 32)
    assert (torch.get_rng_state() == state).all()
    assert (one.audio.vad_head.dense.weight == other.audio.vad_head.dense.weight).all()
    assert (one.config.hidden_size, one.training) == (32, False)


def test_what_was_measured_is_told_as_rows_and_as_json(small_products):
    found = measure(random_model(1, 32), "tiny", ["fp32", "auto"], seconds=0.01, device="cpu")
    content = json.loads(json.dumps(found.to_dict()))
    assert content["alone"].keys() == {"fp32", "auto"}
    for alone in content["alone"].values():
        peak = content["peaks"][alone["numerics"]]["flops_per_second"]
        assert alone["share_of_peak"] == pytest.approx(alone["flops_per_second"] / peak)
        assert alone["times_plain"] > 0
    assert content["plain"]["audio_hours_per_hour"] > 0
    assert content["files"] is None
    assert content["machine"] == dataclasses.asdict(found.machine)
    figures = [figure for figure, _ in found.rows()]
    assert len(figures) == len(set(figures))
    assert "model alone, fp32: share of the peak" in figures


def test_the_script_prints_a_table(small_products, media, capsys):
    asked = ("--layers", "1", "--hidden", "32", "--seconds", "0.01", "--device", "cpu")
    assert main([*asked, "--media", str(media)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("| figure | measured |\n|---|---|\n| machine | ")
    assert "| from 2 files to scores | " in out
    assert "plain way" in err
    assert main([*asked, "--no-plain", "--precision", "fp32", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["plain"] is None
    assert content["alone"]["fp32"]["times_plain"] is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("--hidden", "17"), "multiple of 16"),
        (("--layers", "1", "--hidden", "32", "--device", "abacus"), "expected cpu, cuda"),
        (("--layers", "1", "--hidden", "32", "--device", "meta"), "of another kind"),
        (("--model", "/nowhere/at/all"), "no such folder"),
    ],
)
def test_what_the_script_cannot_do_is_one_line(asked, expected, capsys):
    assert main(list(asked)) == EXIT_USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "asked", [("--seconds", "0"), ("--precision", "fp17"), ("--decoders", "0")]
)
def test_options_out_of_range_are_refused(asked, capsys):
    with pytest.raises(SystemExit) as end:
        main(list(asked))
    assert end.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
