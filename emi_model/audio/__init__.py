"""Waveforms before they reach the model: levels, normalising, windows, batches, augmentation."""
