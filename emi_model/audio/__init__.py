"""Waveforms before the model hears them: levels, normalising, windows, batches, augmentation."""
