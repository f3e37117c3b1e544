"""Emotional Mimicry Intensity from audio: the model of Hallmen et al. (2024) in plain PyTorch."""
