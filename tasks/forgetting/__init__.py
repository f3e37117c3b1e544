"""Forgetting: all that a store and this machine keep of some clips is removed, and that is noted.

First it is found out which clips these are and what there is of them, and written to a journal in
the store; then it is removed, place after place; then the table ``forgotten`` gets a row, and the
journal goes. Whoever is killed in between leaves the journal, and the next call ends it.
"""
