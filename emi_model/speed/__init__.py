"""How fast a machine scores: ``python -m emi_model.speed``.

Imports every other folder of the package but training.
"""
