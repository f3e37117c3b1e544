"""The model: its configuration, its branches, and the fusion of the branches' outputs.

Imports audio and the files of the package's root.
"""
