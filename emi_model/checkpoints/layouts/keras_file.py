"""Reads a small Keras network of faces from its hdf5 file, without Keras."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from emi_model.architecture.encoders.keras_network import KERAS, plain_layers
from emi_model.errors import CheckpointError, ConfigError, ModelNotFound

KERAS_SUFFIXES = (".hdf5", ".h5")

_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "mean", "moving_variance": "variance"}
"""Names of a norm's weights, Keras's to ours."""


class KerasFile(NamedTuple):
    """A network of faces.

    Attributes:
        encoder: config of a `KerasNetwork`.
        processor: how it wants its pictures.
        weights: by the network's names.
        sha256: hash of the file, hex.
    """

    encoder: dict[str, Any]
    processor: dict[str, Any]
    weights: dict[str, Tensor]
    sha256: str


def read_keras(path: Path) -> KerasFile:
    """Read a network; its pictures are scaled to [-1, 1], as those of ``fer`` are.

    Raises:
        ModelNotFound: no such file.
        CheckpointError: no Keras model of layers that are written here.
        ConfigError: h5py is not installed.
    """
    if not path.is_file():
        raise ModelNotFound(f"{path}: no such file")
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ConfigError(f"{path}: h5py reads such files: pip install h5py") from error
    try:
        with h5py.File(path) as file:
            model = json.loads(file.attrs["model_config"])
            layers = plain_layers(model)
            side, channels = _pictures_of(model)
            weights = dict(_weights(file["model_weights"], layers))
    except (OSError, KeyError, ValueError, TypeError, ConfigError) as error:
        raise CheckpointError(f"{path}: cannot be read as a Keras network: {error}") from error
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    processor = {"size": side, "grey": channels == 1, "image_mean": [0.5], "image_std": [0.5]}
    return KerasFile({"model_type": KERAS, "layers": layers}, processor, weights, sha256)


def _pictures_of(model: Mapping[str, Any]) -> tuple[int, int]:
    """Return the side of a model's pictures in pixels, and their channels."""
    _, height, width, channels = model["config"]["layers"][0]["config"]["batch_input_shape"]
    if height != width or channels not in (1, 3):
        raise ValueError(f"found pictures of {height} x {width} x {channels}, expected squares")
    return int(height), int(channels)


def _weights(group: Any, layers: list[dict[str, Any]]) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights of a `KerasNetwork` by name; Keras has the channels last."""
    for layer in layers:
        prefix = f"modules_by_name.{layer['name']}"
        for name, weight in _arrays_of(group[layer["name"]]).items():
            if name in _NORM:
                yield f"{prefix}.{_NORM[name]}", weight
            elif name == "depthwise_kernel":  # (height, width, in, 1)
                yield f"{prefix}.depthwise.weight", weight.permute(2, 3, 0, 1).contiguous()
            elif name == "bias":
                yield f"{prefix}.pointwise.bias", weight
            else:  # (height, width, in, out)
                yield f"{prefix}.pointwise.weight", weight.permute(3, 2, 0, 1).contiguous()


def _arrays_of(group: Any) -> dict[str, Tensor]:
    """Return a layer's arrays by their names without paths: ``kernel``, ``gamma``."""
    found: dict[str, Tensor] = {}

    def take(path: str, item: Any) -> None:
        if hasattr(item, "shape"):
            name = path.rpartition("/")[2].partition(":")[0]
            found[name] = torch.from_numpy(item[()]).float()

    group.visititems(take)
    return found
