"""Packs a clip's inputs for transport to a scorer: bytes, type and shape of each modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pack(modality: str, values: NDArray[Any]) -> dict[str, Any]:
    """Return an item of the column ``inputs`` of `tasks.schema.scores.EXTRACTED`."""
    return {
        "modality": modality,
        "dtype": values.dtype.str,
        "shape": list(values.shape),
        "data": values.tobytes(),
    }


def unpack(row: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return an extracted row's inputs by modality, read-only views; none if it was rejected."""
    return {
        item["modality"]: np.frombuffer(item["data"], item["dtype"]).reshape(item["shape"])
        for item in row["inputs"] or ()
    }
