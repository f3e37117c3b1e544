"""The recipes and their variants; `emi_model.training.recipes` finds them by name.

Imports the files of the training folder that describe a training.
"""
