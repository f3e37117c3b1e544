"""Damaged files by the thousand: each becomes a row, whatever it is. ``make torture``."""
