"""Labelled clips become weights: recipes, batches, losses, the loop, its state on disk.

Imports architecture, audio, metrics and checkpoints.
"""
