"""Fusions that multiply: products of the entries of several modalities' vectors.

Imports the files of the folder above.
"""
