"""A line where a model reads the text of another ASR model than it was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emi_model.modalities import TRANSCRIPT
from tasks.progress import remark
from tasks.transcription.asr_models import asr_columns


def remark_other_asr(
    extractors: Mapping[str, Mapping[str, str]], options: Mapping[str, Any]
) -> None:
    """Remark that the text is not made as the text that a model was trained on, if so.

    Args:
        extractors: of the model's card.
        options: settings of extractors by modality.
    """
    trained, settings = extractors.get(TRANSCRIPT), options.get(TRANSCRIPT)
    if not trained or settings is None:
        return
    given = asr_columns(settings)
    if given["asr_key"] == trained.get("asr_key"):
        return
    if given["asr_sha256"] == trained.get("asr_sha256"):
        how = f"{given['asr_settings']}, trained with {trained.get('asr_settings')}"
    else:
        how = f"{_named(given)}, trained with that of {_named(trained)}"
    remark(
        f"the model reads text of {how}: scores may differ; emi evaluate --asr ONE --asr OTHER "
        "measures by how much"
    )


def _named(facts: Mapping[str, str]) -> str:
    return f"{facts.get('asr_model')} ({facts.get('asr_sha256', '')[:12]})"
