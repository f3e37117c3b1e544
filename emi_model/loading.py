"""Loading libraries without the garbage collector.

What they make while they are loaded stays: to look through it again and again takes a quarter of
the time to load PyTorch and transformers (RESULTS.md).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_gc() -> Iterator[None]:
    """Import within this: nothing is collected meanwhile, nor what is there looked at later."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
