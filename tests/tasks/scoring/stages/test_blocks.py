from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from tasks.scoring.stages.blocks import FIRST_CLIPS, LAST_CLIPS, block_bounds
from tasks.scoring.stages.stage import CLIPS_PER_BLOCK


@given(
    num_clips=st.integers(0, 5_000),
    clips_per_block=st.integers(1, 64),
    scorers=st.integers(1, 40),
)
@example(num_clips=1, clips_per_block=32, scorers=2)
def test_blocks_hold_every_clip_once(num_clips: int, clips_per_block: int, scorers: int) -> None:
    bounds = block_bounds(num_clips, clips_per_block, scorers)
    sizes = [end - start for start, end in pairwise(bounds)]
    assert (bounds[0], bounds[-1]) == (0, num_clips)
    assert all(1 <= size <= clips_per_block for size in sizes)
    assert all(size <= FIRST_CLIPS for size in sizes[:1])
    assert all(size <= FIRST_CLIPS * 2**number for number, size in enumerate(sizes[:9]))
    if scorers > 1:  # none waits long for another's last block
        assert all(size <= LAST_CLIPS for size in sizes[-1:])
    else:
        assert sizes[:-1] == sorted(sizes[:-1]), "full but for the last"
    largest = sizes.index(max(sizes, default=0)) if sizes else 0
    assert sizes[largest:] == sorted(sizes[largest:], reverse=True)


def test_most_blocks_of_a_large_corpus_are_full() -> None:
    sizes = [end - start for start, end in pairwise(block_bounds(20_000, CLIPS_PER_BLOCK, 8))]
    assert sizes.count(CLIPS_PER_BLOCK) * CLIPS_PER_BLOCK > 0.97 * 20_000
