"""The input of modality ``functionals``: float32 (N, 106), a second each, every half second."""

from __future__ import annotations

from emi_model.audio.features.functionals import functionals
from tasks.extraction.acoustics.sound import of_sound
from tasks.extraction.registry import register_extractor

register_extractor("functionals", version=1, needs_audio=True)(of_sound(functionals))
