"""Models on disk and on the hub: saved, loaded, described by a card, imported from other layouts.

Imports architecture.
"""
