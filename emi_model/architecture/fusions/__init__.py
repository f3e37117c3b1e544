"""From the branches' outputs to scores: one file a fusion, here or below, registered by a name.

Imports the other files of architecture, but the model.
"""
