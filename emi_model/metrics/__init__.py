"""How well scores follow labels, and how surely: agreement, resampling, conformal intervals.

Imports only the package's own root.
"""
