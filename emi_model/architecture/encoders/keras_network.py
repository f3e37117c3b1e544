"""A network of pictures that a Keras file describes, layer by layer, such as that of ``fer``.

Its config holds the layers as the file's ``model_config`` has them. Written here are the layers
that such small networks use: convolutions, separable ones, norms, activations, sums, pools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from emi_model.errors import ConfigError

KERAS = "keras_network"
"""``model_type`` of a `KerasNetwork`."""

_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "linear": lambda values: values,
}

_CONVOLUTIONS = ("Conv2D", "SeparableConv2D")


class KerasNetwork(nn.Module):
    """The layers of a Keras model in their order, up to its last convolution.

    A picture's state is the mean over the picture of what the last convolution gets, and of what
    it gives: the values before the softmax.
    """

    def __init__(self, arguments: Mapping[str, Any], num_channels: int) -> None:
        """Build it with fresh weights.

        Args:
            arguments: ``layers``, from `plain_layers`.
            num_channels: of a picture.

        Raises:
            ConfigError: a layer that is not written here.
        """
        super().__init__()
        self._layers = [dict(layer) for layer in arguments.get("layers", ())]
        names = [layer["name"] for layer in self._layers if layer["class"] in _CONVOLUTIONS]
        if not names:
            raise ConfigError(f"encoder.layers has no convolution, expected {KERAS} layers")
        self._last = names[-1]
        self.modules_by_name = nn.ModuleDict()
        widths: dict[str, int] = {}
        for layer in self._layers:
            before = widths[layer["inputs"][0]] if layer["inputs"] else num_channels
            built, widths[layer["name"]] = _built(layer, before)
            if built is not None:
                self.modules_by_name[layer["name"]] = built
        (into,) = next(layer["inputs"] for layer in self._layers if layer["name"] == self._last)
        self.hidden_size = widths[into] + widths[self._last]

    def forward(self, pictures: Tensor) -> Tensor:
        """Return one state a picture, (N, 1, hidden), of float32 (N, C, H, W)."""
        values: dict[str, Tensor] = {}
        for layer in self._layers:
            name, inputs = layer["name"], [values[source] for source in layer["inputs"]]
            values[name] = self._run(layer, inputs or [pictures])
            if name == self._last:
                both = torch.cat([inputs[0].mean((2, 3)), values[name].mean((2, 3))], dim=-1)
                return both[:, None]
        raise AssertionError("the last convolution is one of the layers")

    def _run(self, layer: Mapping[str, Any], inputs: Sequence[Tensor]) -> Tensor:
        if layer["class"] == "Add":
            return torch.stack(list(inputs)).sum(0)
        (values,) = inputs
        if layer["class"] == "MaxPooling2D":
            if layer["padding"] == "same":
                values = _same(values, layer["pool_size"], layer["strides"], float("-inf"))
            return functional.max_pool2d(values, layer["pool_size"], layer["strides"])
        if layer["name"] in self.modules_by_name:
            values = self.modules_by_name[layer["name"]](values)
        return _ACTIVATIONS[layer.get("activation", "linear")](values)


def plain_layers(model_config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the layers of a Keras file's ``model_config`` up to the last convolution.

    Raises:
        ConfigError: no functional model.
    """
    try:
        listed = model_config["config"]["layers"]
        layers = [_plain(layer) for layer in listed]
    except (KeyError, TypeError, IndexError) as error:
        raise ConfigError(f"found no functional Keras model in its config: {error!r}") from error
    places = [place for place, layer in enumerate(layers) if layer["class"] in _CONVOLUTIONS]
    return layers[: places[-1] + 1] if places else layers


def _plain(layer: Mapping[str, Any]) -> dict[str, Any]:
    config = layer["config"]
    kept = ("filters", "kernel_size", "strides", "padding", "use_bias", "pool_size", "activation")
    nodes = layer.get("inbound_nodes") or [[]]
    return {
        "class": layer["class_name"],
        "name": config["name"],
        "inputs": [node[0] for node in nodes[0]],
        **{name: config[name] for name in kept if name in config},
        **({"epsilon": config["epsilon"]} if "epsilon" in config else {}),
    }


class _Convolution(nn.Module):
    """A convolution with Keras's padding, of each channel by itself first where separable."""

    def __init__(self, layer: Mapping[str, Any], width: int) -> None:
        super().__init__()
        self._layer = layer
        out, kernel = int(layer["filters"]), tuple(layer["kernel_size"])
        bias = bool(layer["use_bias"])
        self.depthwise: nn.Conv2d | None = None
        if layer["class"] == "SeparableConv2D":
            self.depthwise = nn.Conv2d(
                width, width, kernel, tuple(layer["strides"]), groups=width, bias=False
            )
            self.pointwise = nn.Conv2d(width, out, 1, bias=bias)
        else:
            self.pointwise = nn.Conv2d(width, out, kernel, tuple(layer["strides"]), bias=bias)

    def forward(self, values: Tensor) -> Tensor:
        if self._layer["padding"] == "same":
            values = _same(values, self._layer["kernel_size"], self._layer["strides"], 0.0)
        if self.depthwise is not None:
            values = self.depthwise(values)
        out: Tensor = self.pointwise(values)
        return out


class _FixedNorm(nn.Module):
    """A batch norm with the statistics of its training: no clip changes another's scores."""

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self._epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, values: Tensor) -> Tensor:
        return functional.batch_norm(
            values, self.mean, self.variance, self.weight, self.bias, False, 0.0, self._epsilon
        )


def _built(layer: Mapping[str, Any], width: int) -> tuple[nn.Module | None, int]:
    """Return a layer's module, if it has weights, and the width of its output."""
    kind = layer["class"]
    activation = layer.get("activation", "linear")
    if activation not in _ACTIVATIONS:
        raise ConfigError(f"layer {layer['name']}: activation {activation!r} is not written here")
    if kind in _CONVOLUTIONS:
        return _Convolution(layer, width), int(layer["filters"])
    if kind == "BatchNormalization":
        return _FixedNorm(width, float(layer["epsilon"])), width
    if kind in ("InputLayer", "Activation", "Add", "MaxPooling2D"):
        return None, width
    raise ConfigError(f"layer {layer['name']}: {kind} is not written here")


def _same(values: Tensor, kernel: Sequence[int], strides: Sequence[int], fill: float) -> Tensor:
    """Return values padded as Keras does for "same": as evenly as it goes, one more at the end."""
    sizes = []
    for length, reach, stride in zip(values.shape[:1:-1], kernel[::-1], strides[::-1], strict=True):
        num = max((-(-length // stride) - 1) * stride + reach - length, 0)
        sizes += [num // 2, num - num // 2]
    return functional.pad(values, sizes, value=fill)
