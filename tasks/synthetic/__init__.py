"""Synthetic corpora: voices that speak expressions, and noise."""
