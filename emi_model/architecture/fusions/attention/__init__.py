"""Fusions that attend: vectors or frames of one modality weigh the frames of another, or their own.

Imports the files of the folder above.
"""
