"""Models on disk and on the hub: saving, loading, model cards, imports from other layouts.

Imports architecture.
"""
