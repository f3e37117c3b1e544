"""State dicts of others: tensors are read, code is not run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from emi_model.checkpoints.foreign import read_pickle, translate
from emi_model.errors import CheckpointError


def test_a_state_dict_is_read(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(3)}, tmp_path / "x.pth")
    assert read_pickle(tmp_path / "x.pth")["a"].tolist() == [0, 1, 2]


def test_unknown_names_stay_as_they_are() -> None:
    state = {"wings.weight": torch.zeros(1), "audio_model.classifier.dense.bias": torch.ones(1)}
    assert translate(state).keys() == {"wings.weight", "vad_head.dense.bias"}


class Trap:
    """Touches a file when unpickled by whoever runs what a pickle holds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, zipped: bool) -> None:
    content = {"weight": torch.zeros(3), "trap": Trap(tmp_path / "sprung")}
    weights = tmp_path / "pytorch_model.bin"
    torch.save(content, weights, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="pickled objects are refused") as caught:
        read_pickle(weights)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()
    torch.load(weights, weights_only=False)
    assert (tmp_path / "sprung").exists()  # the trap was set


@pytest.mark.parametrize(
    "content", [[torch.zeros(1)], {"a": 1}, {1: torch.zeros(1)}, {"model": {"a": torch.zeros(1)}}]
)
def test_more_than_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="found others"):
        read_pickle(tmp_path / "x.pth")


def damaged_files() -> list[bytes]:
    """Return files of which torch says that they are damaged, each in another way."""
    plain = pickle.dumps({"a": 1}, protocol=2)
    return [
        b"",
        b"no pickle",
        b"PK\x03\x04",
        plain[:-4],
        b"\x80\x02.",  # nothing to give
        b"\x80\x02}q\x00X\xff",  # a length of which bytes are missing
        b"\x80\x02h\x07.",  # a memo never made
    ]


@pytest.mark.parametrize("content", damaged_files())
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be loaded as plain tensors") as caught:
        read_pickle(tmp_path / "x.pth")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        read_pickle(tmp_path / "nowhere.pth")
