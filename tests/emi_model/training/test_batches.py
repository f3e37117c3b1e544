"""Which clips a step takes and how each of them sounds hangs on the epoch's number alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from emi_model.architecture.branch import InputSpec
from emi_model.audio.augment import Augmentation
from emi_model.audio.batching import padding_share
from emi_model.audio.waveform import normalise, to_float
from emi_model.errors import TrainingError
from emi_model.training.batches import Preparation, mix, num_steps, plan_epoch
from emi_model.training.clips import LabelledClip, PreparedClip
from emi_model.training.config import TrainConfig
from emi_model.units import SAMPLING_RATE
from tests.emi_model.training.noisy_clips import noisy_clips

PLAIN = TrainConfig(epochs=3, batch_size=4, learning_rate=1e-3)
BUCKETED = replace(PLAIN, batch_size=8, bucket_batches=8)
SPECS = {"audio": InputSpec(min_length=400, prepare=normalise, rate=16_000.0)}
RANDOM = replace(
    PLAIN,
    crop_seconds=0.2,
    augmentation=Augmentation((0.9, 1.1), 0.02, 6.0, (-6.0, 6.0), (10.0, 30.0)),
)

durations = st.lists(st.integers(400, 200_000), min_size=1, max_size=60)
recipes = st.builds(
    TrainConfig,
    epochs=st.just(3),
    learning_rate=st.just(1e-3),
    batch_size=st.integers(1, 20),
    bucket_batches=st.integers(1, 5),
    crop_seconds=st.sampled_from([None, 1.0]),
    seed=st.integers(0, 3),
)
epochs = st.integers(1, 50)


@given(durations, recipes, epochs)
def test_an_epoch_takes_every_clip_once_in_batches_of_almost_one_size(
    num_samples: list[int], recipe: TrainConfig, epoch: int
) -> None:
    plan = plan_epoch(num_samples, recipe, epoch)
    sizes = [len(batch) for batch in plan]
    assert sorted(index for batch in plan for index in batch) == list(range(len(num_samples)))
    assert len(plan) == num_steps(len(num_samples), recipe)
    assert max(sizes) <= recipe.batch_size
    assert max(sizes) - min(sizes) <= 1


@given(durations, recipes, epochs)
def test_an_epoch_is_planned_the_same_again(
    num_samples: list[int], recipe: TrainConfig, epoch: int
) -> None:
    plan = plan_epoch(num_samples, recipe, epoch)
    np.random.seed(epoch)
    torch.manual_seed(epoch)
    assert plan_epoch(num_samples, recipe, epoch) == plan


@pytest.mark.parametrize("recipe", [PLAIN, replace(BUCKETED, bucket_batches=2)])
def test_epochs_and_seeds_differ(recipe: TrainConfig) -> None:
    num_samples = [clip.num_samples for clip in noisy_clips(40)]
    plans = [
        plan_epoch(num_samples, replace(recipe, seed=seed), epoch)
        for seed in range(3)
        for epoch in range(1, 4)
    ]
    assert len({str(plan) for plan in plans}) == 9
    assert len({str([sorted(batch) for batch in plan]) for plan in plans}) == 9


def clips_of(rng: np.random.Generator, num_clips: int) -> list[int]:
    """Return samples of clips that last as those of real corpora do, 5 s at the median."""
    return [int(seconds * SAMPLING_RATE) for seconds in rng.lognormal(np.log(5), 0.5, num_clips)]


@given(st.integers(0, 1000), st.integers(100, 400))
def test_buckets_hold_less_padding(seed: int, num_clips: int) -> None:
    num_samples = clips_of(np.random.default_rng(seed), num_clips)
    shuffled = plan_epoch(num_samples, replace(BUCKETED, bucket_batches=1), 1)
    bucketed = plan_epoch(num_samples, BUCKETED, 1)
    assert padding_share(num_samples, bucketed) < 0.8 * padding_share(num_samples, shuffled)


def test_a_bucket_is_whole_batches_sorted_by_duration() -> None:
    num_samples = clips_of(np.random.default_rng(0), 81)
    shuffled = plan_epoch(num_samples, replace(BUCKETED, bucket_batches=1), 1)
    bucketed = plan_epoch(num_samples, replace(BUCKETED, bucket_batches=2), 1)
    assert len(bucketed) == 11
    for place in range(0, 11, 2):  # five buckets of two batches and one of one
        pool = {index for batch in shuffled[place : place + 2] for index in batch}
        inside = [[num_samples[i] for i in batch] for batch in bucketed if pool.issuperset(batch)]
        assert sum(map(len, inside)) == len(pool)
        shorter, *longer = sorted(inside)
        assert all(max(shorter) <= min(lengths) for lengths in longer)


def test_clips_that_are_cropped_to_one_length_stay_as_shuffled() -> None:
    num_samples = clips_of(np.random.default_rng(0), 40)
    recipe = replace(BUCKETED, crop_seconds=0.5)
    shuffled = plan_epoch(num_samples, replace(recipe, bucket_batches=1), 1)
    assert sorted(plan_epoch(num_samples, recipe, 1)) == sorted(shuffled)


def prepared(
    clips: list[LabelledClip],
    recipe: TrainConfig,
    plan: list[list[int]],
    *,
    epoch: int = 1,
    num_workers: int = 0,
    **limits: Any,
) -> dict[int, NDArray[np.float32]]:
    """Return the waveforms of a plan by the index of their clip."""
    limits = {"window_samples": 192_000, "specs": SPECS, **limits}
    batches = list(
        Preparation(clips, recipe, epoch, **limits).batches(plan, num_workers=num_workers)
    )
    assert [[clip.clip_id for clip in batch] for batch in batches] == [
        [clips[index].clip_id for index in batch] for batch in plan
    ]
    heard = zip((index for batch in plan for index in batch), chain(*batches), strict=True)
    return {index: clip.inputs["audio"] for index, clip in heard}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the default of Python 3.12
@pytest.mark.filterwarnings("ignore:.*worker processes:UserWarning")  # more than there are cores
def test_a_clip_sounds_the_same_whoever_prepares_it() -> None:
    clips = noisy_clips(7)
    plan = [[3, 1, 6], [0, 2], [5, 4]]
    expected = prepared(clips, RANDOM, plan)
    np.random.seed(5)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    others = [
        prepared(clips, RANDOM, [[index] for index in range(7)]),  # another order
        prepared(clips, RANDOM, [[3, 1], [5]]),  # another share
        prepared(clips, RANDOM, plan, num_workers=2),
    ]
    for found in others:
        assert all(np.array_equal(found[index], expected[index]) for index in found)
    assert torch.equal(torch.get_rng_state(), state)  # dropout draws from it


def test_a_clip_sounds_different_in_every_epoch_and_under_every_seed() -> None:
    clips = noisy_clips(1)
    found = [
        prepared(clips, replace(RANDOM, seed=seed), [[0]], epoch=epoch)[0].tobytes()
        for seed in range(3)
        for epoch in range(1, 4)
    ]
    assert len(set(found)) == 9


def test_equal_clips_are_changed_each_in_its_own_way() -> None:
    first, second = prepared(noisy_clips(1) * 2, RANDOM, [[0, 1]]).values()
    assert first.shape != second.shape or not np.array_equal(first, second)


def test_what_is_prepared_is_normalised_and_no_longer_than_the_window() -> None:
    found = prepared(noisy_clips(3), PLAIN, [[0, 1, 2]], window_samples=3000)
    for waveform in found.values():
        assert waveform.shape == (3000,)
        assert waveform.dtype == np.float32
        assert waveform.mean() == pytest.approx(0.0, abs=1e-5)
        assert waveform.std() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_clip_that_becomes_shorter_than_a_frame_is_named(num_workers: int) -> None:
    clips = [replace(clip, inputs={"audio": clip.inputs["audio"][:440]}) for clip in noisy_clips(1)]
    faster = replace(PLAIN, augmentation=Augmentation(speed=(1.2, 1.2)))
    assert len(prepared(clips, PLAIN, [[0]])[0]) == 440
    with pytest.raises(TrainingError, match=r"^0\.mp4 gives 367 samples, expected 400") as caught:
        prepared(clips, faster, [[0]], num_workers=num_workers)
    assert "\n" not in str(caught.value)


def test_other_inputs_are_cut_with_the_waveform_and_missing_ones_are_named() -> None:
    (clip,) = noisy_clips(1)
    waveform = clip.inputs["audio"]
    places = np.arange(len(waveform) // 320 + 1, dtype=np.float32)
    both = replace(clip, inputs={"audio": waveform, "place": places})
    specs = {**SPECS, "place": InputSpec(min_length=1, prepare=np.asarray, rate=50.0)}
    limits = {"window_samples": 192_000, "specs": specs}
    cropped = replace(PLAIN, crop_seconds=0.1)
    for epoch in range(1, 6):
        (batch,) = Preparation([both], cropped, epoch, **limits).batches([[0]])
        heard, place = batch[0].inputs["audio"], batch[0].inputs["place"]
        start = next(
            start
            for start in range(len(waveform))
            if np.allclose(normalise(to_float(waveform[start : start + 1600])), heard)
        )
        assert place[0] == int(start / 320 + 0.5)
        assert len(place) == 5
    (batch,) = Preparation([clip], PLAIN, 1, **limits).batches([[0]])
    assert [*batch[0].inputs] == ["audio"]
    needing = Preparation([clip], PLAIN, 1, **limits, required=("audio", "place"))
    with pytest.raises(TrainingError, match=r"^0\.mp4 lacks place"):
        list(needing.batches([[0]]))


def test_two_clips_are_mixed_by_shares_in_sound_and_in_labels() -> None:
    one = PreparedClip("a", {"audio": np.ones(4, np.float32)}, np.array([1.0], np.float32), None)
    other = PreparedClip("b", {"audio": -np.ones(6, np.float32)}, np.array([0.0], np.float32), None)
    mixed = mix(one, other, 0.75)
    assert mixed.inputs["audio"] == pytest.approx([0.5] * 4 + [-0.25] * 2)
    assert mixed.emi == pytest.approx([0.75])
    assert mixed.vad is None
    assert mixed.clip_id == "a with b"
    rated = replace(one, vad=np.zeros(3, np.float32))
    assert mix(rated, other, 0.75).vad is None
    both = mix(rated, replace(other, vad=np.ones(3, np.float32)), 0.75)
    assert both.vad == pytest.approx([0.25] * 3)


def test_a_mixture_is_mostly_the_clip_itself() -> None:
    clips = noisy_clips(6)
    mixing = replace(PLAIN, mixup=0.5)
    limits = {"window_samples": 192_000, "specs": SPECS}
    (batch,) = Preparation(clips, mixing, 1, **limits).batches([list(range(6))])
    for clip, mixed in zip(clips, batch, strict=True):
        assert mixed.clip_id.startswith(f"{clip.clip_id} with ")
        own = mixed.inputs["audio"][: clip.num_samples]
        assert np.corrcoef(own, clip.inputs["audio"])[0, 1] > 0.5
        assert np.isfinite(mixed.emi).all()
    assert any(not np.allclose(m.emi, c.emi) for m, c in zip(batch, clips, strict=True))


def two_modalities(*, required: tuple[str, ...] = (), share: float = 0.5) -> Preparation:
    """Return the preparation of 200 clips with waveform and text, one of which has text alone."""
    specs = SPECS | {"text": InputSpec(min_length=1, prepare=np.asarray)}
    text = np.arange(1, 4)
    clips = [
        replace(clip, inputs={**clip.inputs, "text": text} if index else {"text": text})
        for index, clip in enumerate(noisy_clips(200))
    ]
    config = replace(RANDOM, modality_dropout=share)
    return Preparation(clips, config, 1, window_samples=192_000, specs=specs, required=required)


def inputs_of(prepared: Preparation, index: int) -> Any:
    found = prepared[index]
    assert isinstance(found, PreparedClip)
    return found.inputs


def test_modality_dropout_never_takes_all_of_a_clip() -> None:
    dropping = two_modalities()
    left = [tuple(inputs_of(dropping, index)) for index in range(200)]
    assert left[0] == ("text",)
    counts = {kind: left[1:].count(kind) for kind in set(left[1:])}
    assert counts.keys() == {("audio", "text"), ("audio",), ("text",)}
    assert all(45 <= count <= 90 for count in counts.values())  # a third of 199 each
    assert left == [tuple(inputs_of(two_modalities(), index)) for index in range(200)]
    needed = two_modalities(required=("text",))
    assert all("text" in inputs_of(needed, index) for index in range(40))


def test_modality_dropout_is_in_a_trainings_identity_where_it_is_set() -> None:
    assert replace(PLAIN, modality_dropout=0.1).to_dict()["modality_dropout"] == 0.1
    assert "modality_dropout" not in PLAIN.to_dict()  # as before there was such a field


def test_modality_dropout_changes_no_other_draw() -> None:
    some, every = two_modalities(), two_modalities(share=0.0)
    for index in range(1, 20):
        whole = inputs_of(every, index)
        assert [*whole] == ["audio", "text"]
        for modality, values in inputs_of(some, index).items():
            assert np.array_equal(values, whole[modality])


def test_what_holds_nothing_is_left_out_and_a_clip_without_anything_is_named() -> None:
    faces = InputSpec(min_length=1, prepare=np.asarray, rate=5.0, usable=np.any)
    (heard,) = noisy_clips(1)
    seen = replace(heard, inputs={**heard.inputs, "vision": np.zeros((9, 2), np.uint8)})

    def prepared(clip: LabelledClip, required: tuple[str, ...] = ()) -> Any:
        specs = SPECS | {"vision": faces}
        each = Preparation([clip], PLAIN, 1, window_samples=192_000, specs=specs, required=required)
        return each[0]

    assert [*prepared(seen).inputs] == ["audio"]
    assert "lacks vision" in str(prepared(seen, ("vision",)))
    nothing = replace(heard, inputs={"vision": np.zeros((9, 2), np.uint8)})
    assert "0.mp4 lacks all that the model takes" in str(prepared(nothing))
