"""Data sets with labels over time: averaged to one a second, then to windows, a clip each."""
