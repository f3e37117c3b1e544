"""The input of modality ``bag_of_words``: float32 (N, 256), a second each, every half second."""

from __future__ import annotations

from emi_model.audio.features.bags import bags_of_words
from tasks.extraction.acoustics.sound import of_sound
from tasks.extraction.registry import register_extractor

register_extractor("bag_of_words", version=1, needs_audio=True)(of_sound(bags_of_words))
