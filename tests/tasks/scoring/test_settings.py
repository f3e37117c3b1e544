from __future__ import annotations

import pytest

from emi_model.errors import ConfigError
from emi_model.targets import EMI_TARGETS
from tasks.scoring.run import needs_with
from tasks.scoring.score_clips import scoring_work
from tasks.scoring.settings import ScoringSettings
from tasks.scoring.stages.ledger import SCORE, TRANSCRIBE
from tasks.scoring.transcribe import transcription_settings
from tasks.transcription.settings import AsrSettings

ASR = {"asr_sha256": "00", "asr_key": "aa"}


@pytest.mark.parametrize(
    ("needs", "of_decoders"),
    [
        ({"audio": True, "text": False}, {"audio": True}),
        ({"audio": False, "text": True, "vision": False}, {"audio": True, "vision": False}),
        ({"audio": False, "text": False}, {"audio": False}),
        ({"text": True}, {"audio": True}),
    ],
)
def test_decoders_leave_the_text_to_transcribers(
    needs: dict[str, bool], of_decoders: dict[str, bool]
) -> None:
    transcription = transcription_settings(
        AsrSettings("any"), ASR, 12.0, needs=needs, is_last=False
    )
    settings = ScoringSettings(
        "m", EMI_TARGETS, 12.0, "first", "fp32", needs=needs, transcription=transcription
    )
    work = scoring_work(settings)
    assert work.extraction.needs == of_decoders
    assert [stage.name for stage in work.stages] == [TRANSCRIBE, SCORE]


def test_a_model_that_does_not_read_has_one_stage() -> None:
    settings = ScoringSettings("m", EMI_TARGETS, 12.0, "first", "fp32")
    work = scoring_work(settings)
    assert work.extraction == settings
    assert [stage.name for stage in work.stages] == [SCORE]


def test_what_is_required_must_be_of_the_model() -> None:
    needs = {"audio": True, "text": False}
    assert needs_with(needs, ()) == needs
    assert needs_with(needs, ["text"]) == {"audio": True, "text": True}
    with pytest.raises(ConfigError, match="found vision required of the clips"):
        needs_with(needs, ["vision"])
