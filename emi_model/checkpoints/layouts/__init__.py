"""Files of other projects: folders of transformers, Keras, the system of 2025.

Imports the files of checkpoints.
"""
