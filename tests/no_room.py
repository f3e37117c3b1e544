"""A disk and a memory without room for more."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """Let the system refuse all bytes of a file after these, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TooLarge:
    """A clip that memory does not suffice for."""

    def __init__(self, shortage: Exception) -> None:
        """Take the error that its use ends in."""
        self._shortage = shortage

    @property
    def num_samples(self) -> NoReturn:
        """Its length, which a training asks for first."""
        raise self._shortage
