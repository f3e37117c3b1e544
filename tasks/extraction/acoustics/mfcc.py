"""The input of modality ``mfcc``: float32 (N, 39), 100 entries a second."""

from __future__ import annotations

from emi_model.audio.features.mfcc import mfcc
from tasks.extraction.acoustics.sound import of_sound
from tasks.extraction.registry import register_extractor

register_extractor("mfcc", version=1, needs_audio=True)(of_sound(mfcc))
