"""Which ASR model transcribes, and how. Light to import: decoders must not load a model."""

from __future__ import annotations

import os
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path

from emi_model.errors import ConfigError
from emi_model.modalities import TRANSCRIPT

ASR_VARIABLE = "EMI_ASR"

BEAM_SIZE = 5
"""Hypotheses that the decoder keeps; 1 is greedy."""


@dataclass(frozen=True)
class AsrSettings:
    """Which ASR (speech recognition) model transcribes, and how.

    Attributes:
        model: a folder of CTranslate2's or of Hugging Face's layout, a hub id, or a size that
            faster-whisper knows: ``tiny.en``, ``large-v3``.
        language: its code, as ``en``; None: detected in each clip.
        beam_size: hypotheses that the decoder keeps, at temperature 0; 1 is greedy.
        keep_text: False: rows of transcripts hold counts and no word.
    """

    model: str
    language: str | None = None
    beam_size: int = BEAM_SIZE
    keep_text: bool = True

    def __post_init__(self) -> None:
        """Check the beam."""
        if self.beam_size < 1:
            raise ConfigError(f"found beam_size={self.beam_size}, expected 1 or more; 1 is greedy")


def asr_settings(
    model: str | None, language: str | None = None, *, keep_text: bool = True
) -> AsrSettings:
    """Return settings with the ASR model that was named, else that of ``EMI_ASR``.

    Raises:
        ConfigError: neither names one.
    """
    model = model or os.environ.get(ASR_VARIABLE)
    if not model:
        raise ConfigError(
            "found no ASR model, expected one that turns speech into text: give --asr (a Whisper "
            f"folder, or a hub id as Systran/faster-whisper-small), or set {ASR_VARIABLE}"
        )
    settings = AsrSettings(model, language, keep_text=keep_text)
    is_folder = Path(model).expanduser().is_dir()
    absolute = str(Path(model).expanduser().absolute())
    return replace(settings, model=absolute) if is_folder else settings


def settings_of_extractors(
    needs: Container[str], asr: str | None, language: str | None = None
) -> dict[str, AsrSettings]:
    """Return the settings of extractors by modality: those of text, if the model reads text.

    Args:
        needs: the modalities of the model.
        asr: the ASR model that was named; None: that of ``EMI_ASR``.
        language: of the speech; None: detected in each clip.

    Raises:
        ConfigError: the model reads text, and no ASR model is named.
    """
    return {TRANSCRIPT: asr_settings(asr, language)} if TRANSCRIPT in needs else {}
