"""Blocks: the clips that go through the stages together, few at the beginning and the end."""

from __future__ import annotations

FIRST_CLIPS = 2
"""Clips of the first block, for early rows."""

LAST_CLIPS = 4
"""Clips of the last blocks: small, so that scorers do not wait long for each other at the end."""

MAX_BLOCK_BYTES = 32 * 2**20
"""A block of more waveforms is divided."""


def block_bounds(num_clips: int, clips_per_block: int, scorers: int) -> list[int]:
    """Return where blocks of clips begin, and where the last one ends.

    The first blocks are small, so that rows come early; each is twice the one before, up to the
    full size. When less than two full blocks a scorer are left, a block is half a scorer's share of
    the remaining clips (Polychronopoulos and Kuck 1987, "Guided Self-Scheduling", IEEE
    Transactions on Computers C-36(12), with half the share). A scorer alone waits for no other.
    """
    bounds, most = [0], FIRST_CLIPS
    while (left := num_clips - bounds[-1]) > 0:
        share = left if scorers == 1 else max(LAST_CLIPS, left // (2 * scorers))
        size = min(most, share, clips_per_block, left)
        bounds.append(bounds[-1] + size)
        most = 2 * size
    return bounds
