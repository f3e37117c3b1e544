"""Synthetic corpora: voices that speak expressions, people who are heard, read and seen, noise."""
