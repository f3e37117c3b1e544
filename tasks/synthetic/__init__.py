"""Corpora made by program: voices with expression, noise."""
