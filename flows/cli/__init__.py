"""The `emi` command: its verbs, what they share, how it ends.

May import everything else.
"""
