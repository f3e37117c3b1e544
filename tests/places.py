"""Where tests that are about stores are run, and where real recordings lie."""

from pathlib import Path

import pytest

DISK_AND_BUCKET = pytest.mark.parametrize("store", ["disk", "bucket"], indirect=True)
"""Runs tests that use the fixture ``store``, or what builds on it, in both places."""

_BESIDE = Path("shared") / "media" / "clips"

RECORDINGS = next(
    (above / _BESIDE for above in Path(__file__).parents if (above / _BESIDE).is_dir()),
    Path("/nonexistent"),
)
"""Real recordings, which lie beside the repository and do not belong to it."""

needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="real recordings lie beside the repository"
)
