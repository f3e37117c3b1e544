"""The series branch: any numeric time series, such as a pulse or features computed elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emi_model.architecture.branch import Branch, BranchOutput, InputSpec
from emi_model.architecture.config import SERIES, EmiConfig
from emi_model.architecture.registry import register_branch
from emi_model.arrays import Array
from emi_model.errors import ConfigError
from emi_model.units import SAMPLING_RATE

_CONSTANT = 1e-6
"""A deviation of this share of the mean or less is rounding: the value never changes."""

_KNOWN = ("num_values", "rate", "sequential", "normalised", "projection", "dropout")


@register_branch(SERIES)
class SeriesBranch(Branch):
    """Normalises the entries of a series, and projects them if it is told to.

    Arguments: ``num_values``, D, of each entry; ``rate``, entries a second, None where the series
    has none; ``sequential``: an LSTM may read the entries, by default where there is a rate;
    ``normalised``, by default true: by the mean and standard deviation of each value over the
    training data, which `measure` takes and the checkpoint holds; ``projection``: width of a linear
    layer over each entry, by default there is none; ``dropout`` of what comes out.

    A value that is not finite counts as missing, and the mean stands in for it (without
    normalisation: 0). A stretch in which no value is finite holds nothing: the clip lacks the
    modality there. A vector is a series of one entry without a rate.
    """

    mean: Tensor
    deviation: Tensor
    num_measured: Tensor

    def __init__(self, config: EmiConfig, arguments: Mapping[str, Any]) -> None:
        """Build the branch; its statistics are those of no data until `measure` is called.

        Raises:
            ConfigError: an argument is unknown, or has a value that does not fit.
        """
        super().__init__()
        _check(arguments)
        self._num_values = int(arguments["num_values"])
        rate, projection = arguments.get("rate"), arguments.get("projection")
        self._is_normalised = bool(arguments.get("normalised", True))
        self.register_buffer("mean", torch.zeros(self._num_values))
        self.register_buffer("deviation", torch.ones(self._num_values))
        self.register_buffer("num_measured", torch.zeros(()))
        self.projection = None if projection is None else nn.Linear(self._num_values, projection)
        self.dropout = nn.Dropout(float(arguments.get("dropout", 0.0)))
        self.feature_size = projection or self._num_values
        self.hidden_size = max(self._num_values, self.feature_size)
        self.is_sequential = bool(arguments.get("sequential", rate is not None))
        self.hop_samples = 0 if rate is None else int(SAMPLING_RATE / rate)
        self.spec = InputSpec(
            min_length=1,
            prepare=self.prepared,
            rate=None if rate is None else float(rate),
            usable=_has_values,
            nothing=np.nan,
        )

    def prepared(self, values: Array) -> Array:
        """Return a series as float32 (N, D).

        Args:
            values: (N, D) of any type of number; (N,) where D is 1.

        Raises:
            ConfigError: its entries have another number of values.
        """
        series = values[:, None] if values.ndim == 1 else values
        if series.ndim != 2 or series.shape[1] != self._num_values:
            raise ConfigError(
                f"found a series of shape {values.shape}, expected (N, {self._num_values}): give "
                "the features that the model was trained with"
            )
        return series.astype(np.float32)

    def measure(self, clips: Iterable[Array]) -> None:
        """Take the mean and standard deviation of each value over the entries of clips.

        Values that are not finite are left out; one that never changes keeps the deviation 1. A
        branch that has statistics already, or wants none, keeps what it has.

        Args:
            clips: inputs as extractors return them; they are read once.
        """
        if not self._is_normalised or self.num_measured > 0:
            return
        counts = np.zeros(self._num_values)
        sums, squares = np.zeros_like(counts), np.zeros_like(counts)
        first: Array | None = None
        entries = 0
        for clip in clips:
            values = self.prepared(clip).astype(np.float64)
            finite = np.isfinite(values)
            if first is None:  # squares of differences from it stay small: nothing cancels
                first = np.where(finite, values, 0.0)[:1]
            apart = np.where(finite, values - first, 0.0)
            counts += finite.sum(axis=0)
            sums += apart.sum(axis=0)
            squares += np.square(apart).sum(axis=0)
            entries += len(values)
        if first is None:
            return
        apart = sums / counts.clip(min=1)
        mean = first[0] + apart
        deviation = np.sqrt((squares / counts.clip(min=1) - np.square(apart)).clip(min=0))
        deviation[deviation <= _CONSTANT * np.abs(mean)] = 1.0
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(deviation))
        self.num_measured.fill_(entries)

    def forward(
        self, values: Tensor, lengths: Tensor, *, dtype: torch.dtype | None = None
    ) -> BranchOutput:
        """Encode B clips; their vector is the mean of their entries.

        Args:
            values: float32 (B, N, D), prepared.
            lengths: int64 (B,), entries of each clip, one or more.
            dtype: not used: there is no large product.
        """
        scaled = (values - self.mean) / self.deviation
        features = torch.where(scaled.isfinite(), scaled, torch.zeros_like(scaled))
        if self.projection is not None:
            features = self.projection(features)
        return BranchOutput(self.dropout(features), lengths)


def _has_values(values: Array) -> bool:
    return bool(np.isfinite(values).any())


def _check(arguments: Mapping[str, Any]) -> None:
    """Check names and values of a branch's arguments.

    Raises:
        ConfigError: one is unknown or does not fit; the message names it.
    """
    if unknown := sorted(arguments.keys() - set(_KNOWN)):
        raise ConfigError(f"a series branch has {unknown}, expected some of {sorted(_KNOWN)}")

    def expect(name: str, usual: Any, holds: bool, expected: str) -> None:
        if not holds:
            raise ConfigError(
                f"{name} of a series branch is {arguments.get(name, usual)!r}, expected {expected}"
            )

    sizes = {name: arguments.get(name) for name in ("num_values", "projection")}
    for name, size in sizes.items():
        absent = size is None and name == "projection"
        whole = isinstance(size, int) and not isinstance(size, bool) and size >= 1
        expect(name, None, absent or whole, "a whole number from 1")
    for name in ("sequential", "normalised"):
        expect(name, None, isinstance(arguments.get(name, True), bool), "true or false")
    rate, drop = arguments.get("rate"), arguments.get("dropout", 0.0)
    expect("rate", None, rate is None or (_is_number(rate) and rate > 0), "more than 0, or null")
    expect("dropout", 0.0, _is_number(drop) and 0 <= drop < 1, "[0, 1)")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)
