"""How well scores follow labels, and how certain that is: agreement, resampling, intervals.

Imports only the package's own root.
"""
