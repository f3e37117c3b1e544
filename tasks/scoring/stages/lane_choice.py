"""How many clips a scorer on a CPU works on at a time, found by trying on a run's first blocks.

The best number depends on the model and the machine: on its cores, its caches, and how fast it
reads weights from memory. So the first blocks are scored in each way, which costs nothing: their
rows are as good as others. What was fastest is kept in ``EMI_HOME`` for this machine and model.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress

from emi_model.devices import USUAL_LANES
from emi_model.errors import ConfigError
from tasks.home import home
from tasks.storage.local import LocalFolder

CANDIDATES = (USUAL_LANES, 1, 4, 8)
ROUNDS = 2
"""Blocks that each candidate gets."""

CLIPS_A_LANE = 4
"""Clips of a block, for each lane, from which it tells how fast a candidate is."""

SCORED_SHARE = 0.75
"""Of so many clips, the others being rejected, it still does."""

MISSES = 3
"""Blocks that were too small for a candidate, after which it is not tried any more."""

GAIN = 1.05
"""A candidate must be so many times as fast as the usual one to be chosen: blocks differ."""

KEPT = "lanes.json"


class LaneChoice:
    """Says how many lanes a block gets."""

    def __init__(self, threads: int, key: str) -> None:
        """Look up what was found before.

        Args:
            threads: that the scorer may use.
            key: of the machine and the model.
        """
        self._threads = threads
        self._key = f"{key}, {threads} threads"
        able = [number for number in CANDIDATES if number <= threads]
        kept = _kept().get(self._key)
        self._usual = min(USUAL_LANES, threads)
        self._chosen = able[able.index(kept)] if kept in able else self._usual
        # the very first block is slower in any way: it is not counted
        is_open = kept not in able and len(able) > 1
        self._to_try = [self._usual, *able * ROUNDS] if is_open else []
        self._spent: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self._misses = 0
        self._tried_all = True

    def lanes_for(self, num_clips: int) -> tuple[int, int]:
        """Return the lanes of the next block and the threads of each.

        Args:
            num_clips: of the block.
        """
        number = self._chosen
        if self._to_try and num_clips >= CLIPS_A_LANE * self._to_try[0]:
            number = self._to_try[0]
        return number, self._threads // number

    def note(self, num_clips: int, num_samples: int, seconds: float, *, lanes: int) -> None:
        """Note how long the last block took.

        Args:
            num_clips: of the block, that were scored.
            num_samples: of these clips.
            seconds: that it took.
            lanes: that it was divided among.
        """
        if not self._to_try:
            return
        tried = self._to_try[0]
        if lanes == tried and num_clips >= SCORED_SHARE * CLIPS_A_LANE * tried:
            self._spent[self._to_try.pop(0)].append((num_samples, seconds))
            self._misses = 0
        elif tried != self._usual:  # the usual number waits for a block that is large enough
            self._misses += 1
            if self._misses == MISSES:
                self._to_try = [number for number in self._to_try if number != tried]
                self._misses, self._tried_all = 0, False
        if self._to_try:
            return
        self._chosen = self._fastest()
        if self._tried_all:
            _keep(self._key, self._chosen)

    def _fastest(self) -> int:
        speeds = {}
        for number, blocks in self._spent.items():
            samples, seconds = zip(*blocks[-ROUNDS:], strict=True)
            speeds[number] = sum(samples) / max(1e-9, sum(seconds))
        best = max(speeds, key=lambda number: speeds[number])
        return best if speeds[best] > GAIN * speeds[self._usual] else self._usual


def _kept() -> dict[str, int]:
    """Return what was found on this machine; nothing where that is not to be had."""
    try:
        found = json.loads(LocalFolder(home()).read(KEPT))
    except (OSError, ValueError, ConfigError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(key: str, number: int) -> None:
    """Add a finding; where ``EMI_HOME`` cannot be written, the next run finds it again."""
    with suppress(OSError, ConfigError):
        content = json.dumps({**_kept(), key: number}, indent=0, sort_keys=True)
        LocalFolder(home()).write(KEPT, content.encode())
