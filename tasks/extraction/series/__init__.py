"""Features that a user gives become a modality's input: settings from a model or a recipe's data.

A modality is named on the command line, ``--features NAME=PATH``, and read by one extractor.
"""
