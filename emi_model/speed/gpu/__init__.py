"""Checks on a real GPU: ``python -m emi_model.speed.gpu`` prints one table; see ``checks``."""
