"""Data sets with one label a clip: a reader each."""
