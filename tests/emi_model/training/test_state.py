"""A training that was stopped ends as if it never had been; a state of another one is refused."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emi_model.architecture.model import EmiModel
from emi_model.audio.augment import Augmentation
from emi_model.errors import TrainingError
from emi_model.training.clips import LabelledClip
from emi_model.training.config import TrainConfig
from emi_model.training.first_weights import from_scratch
from emi_model.training.fit import FitResult, fit
from emi_model.training.recipes import recipe_named
from emi_model.training.state import (
    STATE_FILE,
    FolderJournal,
    read_state,
    write_state,
    writing,
)
from emi_model.training.trainer import EpochReport
from tests.emi_model.training.noisy_clips import noisy_clips
from tests.no_room import full_disk

Build = Callable[..., EmiModel]

TARGETS = ("Noise", "Tone")

EVERYTHING = TrainConfig(
    epochs=4,
    batch_size=4,
    learning_rate=3e-3,
    loss="mse+ccc",
    vad_loss_weight=1.0,
    clip_norm=1.0,
    bucket_batches=2,
    crop_seconds=0.3,
    augmentation=Augmentation((0.9, 1.1), 0.02, 6.0, (-6.0, 6.0), (10.0, 30.0)),
    ema_decay=0.8,
    keep="best",
)
"""All that is random or carried on; the tiny model adds dropout, layer drop and SpecAugment."""


def contrary(clips: Sequence[LabelledClip]) -> list[LabelledClip]:
    """Return clips whose labels say the opposite: what learns least follows them best."""
    return [replace(clip, emi=1 - clip.emi) for clip in clips]


def stop_after(epoch: int) -> Callable[[EpochReport], None]:
    def watch(report: EpochReport) -> None:
        if report.epoch == epoch:
            raise KeyboardInterrupt

    return watch


def history_of(result: FitResult) -> list[dict[str, Any]]:
    return [{**asdict(report), "seconds": 0.0} for report in result.history]


def assert_equal(one: EmiModel, other: EmiModel) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.parametrize(
    ("changes", "valid_set", "kept"),
    [
        ({}, contrary(noisy_clips(6)), 1),
        ({"ema_decay": None, "keep": "last"}, noisy_clips(4, seed=1), 4),
    ],
    ids=["the best was before the stop", "the last"],
)
def test_a_stopped_training_goes_on_to_the_very_same_end(
    tiny_model: Build,
    tmp_path: Path,
    changes: dict[str, Any],
    valid_set: list[LabelledClip],
    kept: int,
) -> None:
    recipe = replace(EVERYTHING, **changes)
    clips = noisy_clips(6)
    journal = FolderJournal(tmp_path / "made" / "on demand")

    def go(model: EmiModel, **arguments: Any) -> FitResult:
        return fit(model, clips, valid_set, recipe, device="cpu", **arguments)

    through = tiny_model(targets=TARGETS)
    expected = go(through)
    for epoch in (1, 2):
        fresh = tiny_model(seed=epoch - 1, targets=TARGETS)  # the second's weights play no part
        with pytest.raises(KeyboardInterrupt):
            go(fresh, journal=journal, on_epoch=stop_after(epoch))
    last = tiny_model(seed=2, targets=TARGETS)
    torch.manual_seed(2)
    np.random.seed(2)
    found = go(last, journal=journal)
    assert history_of(found) == history_of(expected)
    assert found.epoch == expected.epoch == kept
    assert_equal(last, through)
    seconds = [report.seconds for report in found.history]
    assert seconds == sorted(seconds)
    assert found.seconds >= seconds[-1]


def test_a_training_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    recipe = recipe_named("debug")
    clips = noisy_clips(4)
    first, second = from_scratch(recipe, TARGETS), from_scratch(recipe, TARGETS)
    journal = FolderJournal(tmp_path)
    expected = fit(first, clips, clips, recipe.train, device="cpu", journal=journal)
    seen: list[EpochReport] = []
    found = fit(
        second, clips, clips, recipe.train, device="cpu", journal=journal, on_epoch=seen.append
    )
    assert seen == []
    assert found.history == expected.history
    assert_equal(first, second)
    assert not second.training


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the state of `one_epoch`."""
    folder = tmp_path_factory.mktemp("state")
    one_epoch(folder)
    return folder


def one_epoch(
    folder: Path,
    *,
    train_set: Sequence[LabelledClip] | None = None,
    valid_set: Sequence[LabelledClip] | None = None,
    targets: tuple[str, ...] = TARGETS,
    **changes: Any,
) -> FitResult:
    recipe = recipe_named("debug")
    return fit(
        from_scratch(recipe, targets),
        train_set or noisy_clips(4),
        valid_set or noisy_clips(3, seed=1),
        replace(recipe.train, **{"epochs": 1, "warmup_epochs": 0.0, **changes}),
        device="cpu",
        journal=FolderJournal(folder),
    )


def with_first(**changes: Any) -> list[LabelledClip]:
    first, *others = noisy_clips(4)
    return [replace(first, **changes), *others]


@pytest.mark.parametrize(
    "changes",
    [
        {"train_set": with_first(clip_id="renamed.mp4")},
        {"train_set": with_first(emi=np.array([0.25, 0.75], np.float32))},
        {"train_set": with_first(vad=None)},
        {"train_set": with_first(inputs={"audio": noisy_clips(1)[0].inputs["audio"][:-1]})},
        {"train_set": noisy_clips(4)[::-1]},
        {"train_set": noisy_clips(5)},
        {"valid_set": noisy_clips(3, seed=2)},
        {"train_set": noisy_clips(3), "valid_set": noisy_clips(4)[3:] + noisy_clips(3, seed=1)},
        {"targets": ("Tone", "Noise")},
        {"epochs": 2},
        {"learning_rate": 1e-3},
        {"augmentation": Augmentation(shift_seconds=0.1)},
        {"seed": 2},
    ],
)
def test_the_state_of_another_training_is_refused(state: Path, changes: dict[str, Any]) -> None:
    before = (state / STATE_FILE).read_bytes()
    with pytest.raises(
        TrainingError, match=r"other clips, labels or settings.*remove it"
    ) as caught:
        one_epoch(state, **changes)
    assert "\n" not in str(caught.value)
    assert (state / STATE_FILE).read_bytes() == before


def test_other_inputs_of_the_same_clips_are_refused(state: Path, tmp_path: Path) -> None:
    louder = with_first(inputs={"audio": noisy_clips(1)[0].inputs["audio"] + 1})
    with pytest.raises(TrainingError, match=r"clips had other inputs.*remove it") as caught:
        one_epoch(state, train_set=louder)
    assert "\n" not in str(caught.value)
    earlier = torch.load(state / STATE_FILE, weights_only=True)
    assert earlier.pop("inputs")  # earlier versions wrote none
    write_state(tmp_path / STATE_FILE, earlier)
    assert len(one_epoch(tmp_path).history) == 1


def damaged(state: bytes) -> list[bytes]:
    """Return files that torch refuses, each in another way."""
    plain = pickle.dumps({"fingerprint": "x"}, protocol=2)
    code = pickle.dumps(os.getcwd, protocol=2)
    return [
        b"",
        b"no state",
        b"PK\x03\x04",
        state[: len(state) // 2],
        plain[:-4],
        code,
        b"\x80\x02.",
    ]


@pytest.mark.parametrize("kind", range(7))
def test_a_damaged_state_is_refused_in_one_line(state: Path, tmp_path: Path, kind: int) -> None:
    content = damaged((state / STATE_FILE).read_bytes())[kind]
    (tmp_path / STATE_FILE).write_bytes(content)
    with pytest.raises(
        TrainingError, match=r"training\.pt: cannot be read \(.+\): remove"
    ) as caught:
        one_epoch(tmp_path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / STATE_FILE).read_bytes() == content


def test_what_is_no_state_is_refused(tmp_path: Path) -> None:
    write_state(tmp_path / "list", [1, 2])  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="of a training with other"):
        read_state(tmp_path / "list", "x")


def fail_halfway(path: Path) -> None:
    path.write_bytes(b"half a st")
    raise OSError(28, "No space left on device")


def test_the_state_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    journal = FolderJournal(tmp_path)
    with pytest.raises(OSError, match="No space"):
        journal.keep(1, fail_halfway)
    assert journal.last() is None
    journal.keep(1, lambda path: write_state(path, {"fingerprint": "x", "epoch": 1}))
    with pytest.raises(OSError, match="No space"):
        journal.keep(2, fail_halfway)
    kept = journal.last()
    assert kept is not None
    assert read_state(kept, "x")["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


@pytest.mark.parametrize("numbers", [1, 10_000])  # Python buffers few, torch passes many on
def test_a_state_that_a_full_disk_refuses_is_named_in_one_line(
    tmp_path: Path, numbers: int
) -> None:
    journal = FolderJournal(tmp_path)
    journal.keep(1, lambda path: write_state(path, {"fingerprint": "x", "epoch": 1}))
    with pytest.raises(TrainingError) as caught, full_disk(500):
        journal.keep(2, lambda path: write_state(path, {"weights": torch.zeros(numbers)}))
    assert str(caught.value) == (
        f"{tmp_path}: the state cannot be written (File too large): free space on this disk, the "
        "same command goes on"
    )
    kept = journal.last()
    assert kept is not None
    assert read_state(kept, "x")["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


def test_what_is_no_refusal_of_the_system_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"\(Not a directory\): let it be writable, the same"):
        FolderJournal(tmp_path / "file" / "below").keep(1, fail_halfway)
    with pytest.raises(RuntimeError, match="a bug"), writing("state", tmp_path):
        raise RuntimeError("a bug")


def test_what_a_killed_process_left_aside_is_no_state(state: Path, tmp_path: Path) -> None:
    content = (state / STATE_FILE).read_bytes()
    (tmp_path / f".{STATE_FILE}-1").write_bytes(content[: len(content) // 2])
    assert FolderJournal(tmp_path).last() is None
    assert len(one_epoch(tmp_path).history) == 1
