"""Types of the arrays that modules hand to each other; their shapes stand in the docstrings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
"""Labels, scores and what a model is given."""

Array = NDArray[Any]
"""A clip's input in some modality, (N, ...)."""

Doubles = NDArray[np.float64]
"""Statistics, and waveforms that are still being made."""
