"""The model: its configuration, its branches, and the fusion of what the branches give.

Imports audio and the files of the package's root.
"""
