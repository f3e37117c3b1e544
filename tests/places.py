"""Where tests that are about stores are run."""

import pytest

DISK_AND_BUCKET = pytest.mark.parametrize("store", ["disk", "bucket"], indirect=True)
"""Runs tests that use the fixture ``store``, or what builds on it, in both places."""
