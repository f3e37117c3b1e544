"""Fusions that are fitted on predictions for clips which no head learnt from.

Imports architecture, the predictor, and the files of the training folder but `fit`.
"""
