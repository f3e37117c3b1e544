"""Sets of features of a clip's sound, each a modality of its own: one file a set.

A model takes one by a branch of the kind ``series``; `emi_model.audio.features` computes them.
"""
