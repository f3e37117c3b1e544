"""Trainings of many configurations on the same clips: run, recorded, compared, reported.

`cell.py` and `workers.py` are the engine, which ablations use, too.
"""
