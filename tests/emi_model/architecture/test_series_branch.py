"""The series branch: under any name, normalised by the training data, alone as in a batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.architecture.registry import branch_class
from emi_model.architecture.series_branch import SeriesBranch
from emi_model.arrays import Array
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.errors import ConfigError
from emi_model.modalities import size_of
from emi_model.predict import Predictor, Scores
from emi_model.training.clips import LabelledClip
from emi_model.training.first_weights import from_scratch
from emi_model.training.fit import fit
from emi_model.training.recipes import Recipe, debug

TARGETS = ("Joy", "Awe")
PULSE = {"kind": "series", "num_values": 3, "rate": 25, "optional": True}
FACTS = {"kind": "series", "num_values": 5, "rate": None, "projection": 4, "optional": True}


def config_of(**branches: dict[str, Any]) -> EmiConfig:
    return EmiConfig(targets=TARGETS, branches=branches, vad_head=False, lstm_layers=1)


def branch_of(**arguments: Any) -> SeriesBranch:
    torch.manual_seed(0)
    branch = SeriesBranch(config_of(pulse=PULSE), {"num_values": 3, **arguments})
    return branch.eval()


def pulse(num_entries: int, seed: int) -> Array:
    scales = np.array([1.0, 300.0, 0.001])
    drawn = np.random.default_rng(seed).standard_normal((num_entries, 3))
    return (drawn * scales + [0.0, 5e4, -2.0]).astype(np.float32)


def forward(branch: SeriesBranch, *clips: Array) -> list[Array]:
    """Return each clip's features, of a batch with 7s behind the ends of the shorter ones."""
    lengths = torch.tensor([len(clip) for clip in clips])
    values = torch.full((len(clips), int(lengths.max()), clips[0].shape[1]), 7.0)
    for row, clip in zip(values, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(branch.spec.prepare(clip))
    output = branch(values, lengths)
    assert output.num_frames.tolist() == lengths.tolist()
    found: Array = output.features.detach().numpy()
    return [row[: len(clip)] for row, clip in zip(found, clips, strict=True)]


def test_the_statistics_are_those_of_the_training_data() -> None:
    clips = [pulse(num, seed) for seed, num in enumerate((40, 1, 9))]
    clips[0][3, 1], clips[2][:, 2] = np.nan, np.inf  # what a sensor did not measure
    branch = branch_of(rate=25)
    branch.measure(iter(clips))
    known = np.concatenate(clips).astype(np.float64)
    known[~np.isfinite(known)] = np.nan
    assert branch.mean.numpy() == pytest.approx(np.nanmean(known, axis=0), rel=1e-6)
    assert branch.deviation.numpy() == pytest.approx(np.nanstd(known, axis=0), rel=1e-4)
    assert branch.num_measured == 50
    (found,) = forward(branch, clips[0])
    assert found[3, 1] == 0
    expected = (clips[0] - np.nanmean(known, axis=0)) / np.nanstd(known, axis=0)
    assert np.abs(np.where(np.isnan(expected), 0, expected) - found).max() < 1e-3

    before = branch.mean.clone()
    branch.measure([pulse(4, 9)])  # a model that is trained on keeps what its weights know
    assert torch.equal(branch.mean, before)


def test_a_value_that_never_changes_is_not_divided_by_nothing() -> None:
    branch = branch_of()
    branch.measure([np.full((6, 3), [0.0, 1e6, -0.1], np.float32)])
    assert branch.deviation.tolist() == [1, 1, 1]
    (found,) = forward(branch, np.full((1, 3), [0.5, 1e6, -0.1], np.float32))
    assert found[0] == pytest.approx([0.5, 0, 0], abs=1e-6)


def test_without_normalisation_values_come_through() -> None:
    branch = branch_of(normalised=False)
    branch.measure([pulse(9, 0)])
    clip = pulse(4, 1)
    clip[2, 0] = np.nan
    (found,) = forward(branch, clip)
    assert np.array_equal(found, np.nan_to_num(clip))


def test_rate_and_frames() -> None:
    branch = branch_of(rate=25)
    assert (branch.is_sequential, branch.hop_samples, branch.feature_size) == (True, 640, 3)
    assert branch.spec.min_samples == 640
    assert branch.spec.num_samples(pulse(50, 0)) == 32_000
    assert np.array_equal(branch.spec.cut(pulse(50, 0), 16_000, 32_000), pulse(50, 0)[25:])
    nothing = np.full((3, 3), np.nan)
    assert not branch.spec.holds(nothing)
    assert branch.spec.holds(np.concatenate([nothing, pulse(1, 0)]))

    vector = branch_of(projection=8)
    assert (vector.is_sequential, vector.hop_samples, vector.feature_size) == (False, 0, 8)
    assert vector.spec.num_samples(pulse(1, 0)) is None
    assert branch_of(sequential=True).is_sequential


def test_integers_and_one_value_an_entry() -> None:
    branch = SeriesBranch(config_of(pulse=PULSE), {"num_values": 1, "rate": 4.0})
    found = branch.prepared(np.array([3, -1], np.int16))
    assert found.dtype == np.float32
    assert found.tolist() == [[3], [-1]]
    with pytest.raises(ConfigError, match=r"shape \(2, 3\), expected \(N, 1\): give the features"):
        branch.prepared(pulse(2, 0))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "num_values of a series branch is None, expected a whole number from 1"),
        ({"num_values": True}, "num_values of a series branch is True"),
        ({"num_values": 3, "projection": 0}, "projection .* is 0, expected a whole number from 1"),
        ({"num_values": 3, "rate": 0}, "rate of a series branch is 0, expected more than 0"),
        ({"num_values": 3, "rate": "fast"}, "rate .* is 'fast'"),
        ({"num_values": 3, "dropout": 1}, r"dropout .* is 1, expected \[0, 1\)"),
        ({"num_values": 3, "normalised": "no"}, "normalised .* is 'no', expected true or false"),
        ({"num_values": 3, "encoder": {}}, r"has \['encoder'\], expected some of"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        EmiModel(config_of(pulse={"kind": "series", **arguments}))


@pytest.mark.parametrize("name", ["Pulse", "no name", "values", "train", "a.b"])
def test_a_name_that_no_modality_can_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"modality is {name!r}, expected a lower-case"):
        EmiModel(config_of(**{name: PULSE}))


def test_a_kind_that_is_not_there_is_refused() -> None:
    assert branch_class("pulse", "series") is SeriesBranch
    with pytest.raises(ConfigError, match="found no branch for 'smell'"):
        branch_class("pulse", "smell")
    with pytest.raises(ConfigError, match="kind of branch 'pulse' is 3, expected a name"):
        config_of(pulse={"kind": 3}).kind_of("pulse")


def test_wide_entries_count_for_more_in_a_batch() -> None:
    assert size_of({"pulse": np.zeros((9, 3))}) == 9
    assert size_of({"pulse": np.zeros((9, 160)), "facts": np.zeros((1, 5))}) == 90


def made_clips(num_clips: int, seed: int) -> list[LabelledClip]:
    """Return clips of which a third lacks the pulse, and another the facts."""
    rng = np.random.default_rng(seed)
    clips = []
    for index in range(num_clips):
        inputs: dict[str, Array] = {
            "pulse": pulse(int(rng.integers(1, 60)), 100 * seed + index),
            "facts": rng.standard_normal((1, 5)),
        }
        for name in {0: ["pulse"], 1: ["facts"]}.get(index % 3, []):
            del inputs[name]
        labels = rng.uniform(size=2).astype(np.float32)
        clips.append(LabelledClip(f"{index}", inputs, labels, speaker=f"s{index % 4}"))
    return clips


@pytest.mark.parametrize("fusion", [None, "concat", "gated"])
def test_trained_saved_loaded_and_scored_without_any_media(
    fusion: str | None, tmp_path: Path
) -> None:
    train = replace(debug().train, epochs=1, warmup_epochs=0.0, folds=2, vad_loss_weight=0.0)
    model = replace(
        config_of(pulse=PULSE, facts=FACTS), fusion=None if fusion is None else {"name": fusion}
    )
    trained = from_scratch(Recipe("series", train, model), TARGETS)
    clips = made_clips(12, 0)
    fit(trained, clips, made_clips(6, 1), train, device="cpu")
    branch = trained.each_branch()["pulse"]
    assert isinstance(branch, SeriesBranch)
    known = [clip.inputs["pulse"] for clip in clips if "pulse" in clip.inputs]
    assert branch.num_measured == sum(map(len, known))
    assert branch.mean.numpy() == pytest.approx(np.concatenate(known).mean(axis=0), rel=1e-5)

    save_checkpoint(tmp_path / "model", trained, ModelCard("series", TARGETS))
    loaded = load_checkpoint(tmp_path / "model").model
    assert loaded.config == trained.config
    new = [clip.inputs for clip in made_clips(9, 2)]
    together = Predictor(loaded, device="cpu", precision="fp32")(new)
    before = Predictor(trained, device="cpu", precision="fp32")(new)
    for clip, scores, same in zip(new, together, before, strict=True):
        (alone,) = Predictor(loaded, device="cpu", precision="fp32")([clip])
        assert isinstance(scores, Scores)
        assert isinstance(alone, Scores)
        assert isinstance(same, Scores)
        assert scores.emi == pytest.approx(alone.emi, abs=1e-5)
        assert scores.emi == pytest.approx(same.emi, abs=1e-6)
        assert scores.num_frames == len(clip.get("pulse", ()))
