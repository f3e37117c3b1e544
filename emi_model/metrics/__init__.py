"""How well scores follow labels, how groups differ, and how certain that is.

Imports only the package's own root.
"""
