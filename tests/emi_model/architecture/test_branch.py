from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emi_model.architecture.branch import (
    BranchOutput,
    InputSpec,
    collate,
    duration_of,
    stretch_of,
)
from emi_model.audio.windows import tile


def spec(rate: float | None, min_length: int = 1) -> InputSpec:
    return InputSpec(min_length=min_length, prepare=np.asarray, rate=rate)


@given(st.integers(1, 400), st.sampled_from([5.0, 25.0, 29.97, 50.0, 16_000.0]), st.integers(1, 99))
def test_windows_cut_an_input_into_pieces_that_tile_it(
    num_samples: int, rate: float, window: int
) -> None:
    values = np.arange(int(num_samples * rate / 16_000 + 0.5))
    windows = tile(num_samples, window, 1)
    pieces = [spec(rate).cut(values, start, end) for start, end in windows]
    assert np.array_equal(np.concatenate(pieces), values)


def test_what_is_no_sequence_in_time_is_whole_in_every_window() -> None:
    text = np.array([[1, 2], [3, 4]])
    whole = spec(None)
    assert whole.cut(text, 16_000, 32_000) is text
    assert (whole.num_samples(text), whole.min_samples) == (None, 1)


@pytest.mark.parametrize(
    ("rate", "min_length", "min_samples"), [(16_000.0, 400, 400), (50.0, 1, 320), (29.97, 2, 1068)]
)
def test_lengths_in_samples(rate: float, min_length: int, min_samples: int) -> None:
    found = spec(rate, min_length)
    assert found.min_samples == min_samples
    assert found.num_samples(np.zeros(min_length)) in (min_samples, min_samples - 1)


def test_a_clip_that_lacks_a_modality_has_length_zero_in_it() -> None:
    faces = np.ones((2, 3), np.float32)
    clips = [{"audio": np.ones(5, np.float32)}, {"audio": np.ones(4, np.float32), "face": faces}]
    batch = collate(clips, ["audio", "face", "text"])
    assert [*batch] == ["audio", "face"]
    assert batch["audio"].lengths.tolist() == [5, 4]
    assert batch["face"].lengths.tolist() == [0, 2]
    assert batch["face"].values.tolist() == [[[0.0] * 3] * 2, [[1.0] * 3] * 2]


SPECS = {
    "audio": spec(16_000.0, 400),
    "text": spec(None),
    "vision": InputSpec(min_length=1, prepare=np.asarray, rate=5.0, usable=np.any),
}


def test_a_clip_lasts_as_long_as_its_audio_else_as_its_longest_input() -> None:
    audio, text, faces = np.zeros(700), np.zeros(9), np.zeros((11, 2))
    assert duration_of({"text": text, "vision": faces, "audio": audio}, SPECS) == 700
    assert duration_of({"text": text, "vision": faces}, SPECS) == 35_200
    assert duration_of({"text": text}, SPECS) is None


def test_a_stretch_holds_what_can_be_encoded_in_it() -> None:
    audio, text = np.ones(16_000), np.ones(3)
    faces = np.array([0, 0, 0, 1, 1])  # none in the first 0.6 s
    clip = {"audio": audio, "text": text, "vision": faces}
    assert SPECS["vision"].holds(faces)
    assert not SPECS["vision"].holds(faces[:3])
    assert not SPECS["audio"].holds(audio[:399])
    early = stretch_of(clip, SPECS, (), 0, 8_000)
    assert [*early] == ["audio", "text"]
    assert len(early["audio"]) == 8_000
    assert [*stretch_of(clip, SPECS, (), 8_000, 16_000)] == ["audio", "text", "vision"]
    needed = stretch_of(clip, SPECS, ("vision",), 0, 8_000)
    assert needed["vision"] is faces  # better the faces of another time than no clip
    assert stretch_of({"vision": faces}, SPECS, (), 0, 8_000) == {"vision": faces}
    short = stretch_of({"audio": audio[:9], "text": text}, SPECS, ("audio",), 0, 8_000)
    assert len(short["audio"]) == 9


def test_values_of_some_clips_are_spread_over_all() -> None:
    values = torch.tensor([[1.0], [2.0]])
    some = BranchOutput(values[:, None], torch.tensor([1, 1]), rows=torch.tensor([2, 0]))
    assert some.spread(values, 4).tolist() == [[2.0], [0.0], [1.0], [0.0]]
    assert some.clip_vector().tolist() == [[1.0], [2.0]]
    whole = BranchOutput(values[:, None], torch.tensor([1, 1]), vector=-values)
    assert whole.spread(values, 2) is values
    assert whole.clip_vector().tolist() == [[-1.0], [-2.0]]
