"""The model: its configuration, its branches, and the fusion of what the branches give.

Imports only the package's own root.
"""
