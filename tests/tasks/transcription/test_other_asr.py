"""A model that reads another ASR model's text says so, once."""

from __future__ import annotations

from tasks.progress import take_remarks
from tasks.transcription.asr_models import asr_columns
from tasks.transcription.other_asr import remark_other_asr
from tasks.transcription.settings import AsrSettings


def test_only_other_text_is_remarked(asr: AsrSettings) -> None:
    take_remarks()
    trained = asr_columns(asr)
    remark_other_asr({"text": trained}, {"text": asr})
    remark_other_asr({}, {"text": asr})
    remark_other_asr({"text": trained}, {})
    assert take_remarks() == []
    remark_other_asr({"text": trained}, {"text": AsrSettings(asr.model, "en")})
    remark_other_asr({"text": {"asr_model": "large-v3", "asr_sha256": "a" * 64}}, {"text": asr})
    settings, model = take_remarks()
    assert '"beam_size": 5' in settings
    assert '"beam_size": 1' in settings
    assert (
        f"text of model ({trained['asr_sha256'][:12]}), trained with that of large-v3 (aaa" in model
    )
