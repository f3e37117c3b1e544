"""The extractor of text: what is said in a clip's sound, as a model that reads takes it."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emi_model.devices import available_cores
from emi_model.modalities import TRANSCRIPT
from emi_model.units import samples_to_seconds
from tasks.extraction.registry import ClipMedia, register_extractor
from tasks.schema.outcomes import Reason, Rejection
from tasks.transcription.asr_models import TRANSCRIPTION, asr_columns, asr_key
from tasks.transcription.settings import AsrSettings, asr_settings
from tasks.transcription.transcriber import Transcriber
from tasks.transcription.transcript import Transcript

_ONE_AT_A_TIME = threading.Lock()
"""A transcription takes all cores: threads that decode clips side by side take turns."""


def text_input(found: Transcript, num_samples: int) -> NDArray[Any] | Rejection:
    """Return a transcript as a model's input: uint8 (N,), its UTF-8 bytes, or why there is none.

    Args:
        found: the transcript.
        num_samples: of the waveform, at 16 kHz.
    """
    if not found.text:
        seconds = samples_to_seconds(num_samples)
        detail = f"nobody speaks in the {seconds:.1f} s of sound"
        return Rejection(reason=Reason.NO_SPEECH, detail=detail)
    return np.frombuffer(found.text.encode(), np.uint8)


@cache
def _transcriber(settings: AsrSettings) -> Transcriber:
    return Transcriber(settings, threads=available_cores())


def _given(settings: AsrSettings | None) -> AsrSettings:
    return settings or asr_settings(None)


@register_extractor(
    TRANSCRIPT,
    version=TRANSCRIPTION,
    needs_audio=True,
    own_stage=True,
    key=lambda settings: asr_key(_given(settings)),
    facts=lambda settings: asr_columns(_given(settings)),
)
def _text(media: ClipMedia) -> NDArray[Any] | Rejection:
    """Return uint8 (N,), the UTF-8 bytes of what is said.

    Raises:
        ConfigError: no ASR model was given, or faster-whisper is not installed.
        CheckpointError: the ASR model cannot be loaded.
    """
    assert media.audio is not None, "decoded for every extractor that needs audio"
    if isinstance(media.audio, Rejection):
        return media.audio
    waveform = media.audio.waveform
    with _ONE_AT_A_TIME:
        found = _transcriber(_given(media.options.get(TRANSCRIPT)))(waveform)
    media.noted[TRANSCRIPT] = found.facts()
    return text_input(found, len(waveform))
