"""Types of the arrays that modules hand to each other; their shapes stand in the docstrings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
"""Labels, scores and what a model is given."""

Doubles = NDArray[np.float64]
"""Statistics, and waveforms that are still being made."""
