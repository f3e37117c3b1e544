"""Import libraries without the garbage collector.

The objects that imports create stay alive: the collector's repeated passes over them take a quarter
of the time to load PyTorch and transformers (RESULTS.md).
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_gc() -> Iterator[None]:
    """Pause the collector for the imports inside, and leave their objects out of later passes.

    But for those when Python ends: some libraries then complain of objects that still live.
    """
    atexit.unregister(gc.unfreeze)
    atexit.register(gc.unfreeze)
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
