"""The settings of a run's workers. Light to import: decoders must not load PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from emi_model.architecture.config import Precision
from emi_model.modalities import AUDIO, AUDIO_NEEDED, TRANSCRIPT
from tasks.provenance import code_version
from tasks.transcription.settings import AsrSettings

Coverage = Literal["first", "full"]

Why = Literal["modalities", "all"]
"""What scores are attributed to: modalities, or seconds as well."""


@dataclass(frozen=True)
class TranscriptionSettings:
    """The settings of workers that transcribe.

    Attributes:
        asr: the ASR model, and how it is used.
        asr_sha256: its hash.
        asr_key: hash of all that decides the text of a whole clip.
        cut_key: likewise of a clip that was cut off after ``max_seconds``.
        max_seconds: seconds of a clip to decode; None for all.
        needs: modalities that are wanted of a clip, each with whether it is rejected without it;
            with ``is_last`` those of the decoders.
        is_last: nothing comes next; else a model scores the clips.
        timeout_seconds: for the extraction of one clip.
        version: of this project on the run's driver.
        options: as `ScoringSettings`.
    """

    asr: AsrSettings
    asr_sha256: str
    asr_key: str
    cut_key: str
    max_seconds: float | None = None
    needs: Mapping[str, bool] = field(default_factory=lambda: dict(AUDIO_NEEDED))
    is_last: bool = True
    timeout_seconds: float = 120.0
    version: str = field(default_factory=code_version)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, str]:
        """Return ``asr_key`` and ``cut_key``: those of all transcripts that it may give."""
        return self.asr_key, self.cut_key


@dataclass(frozen=True)
class ScoringSettings:
    """The settings that every worker gets.

    Attributes:
        model: reference of the model.
        targets: its targets, in order.
        max_seconds: seconds of a clip to decode; None for all.
        coverage: first window or all windows.
        precision: numerics requested, see `emi_model.predict.Predictor`.
        timeout_seconds: for the extraction of one clip.
        model_sha256: hash of the model; None: any.
        elsewhere: reference for nodes that do not have the folder ``model``: a registered version
            or a bucket's URI; None: there is none.
        version: of this project on the run's driver.
        needs: modalities that the model takes, each with whether a clip is rejected without it.
        options: settings of extractors by modality; for ``text`` an `AsrSettings`.
        why: what scores are attributed to; None: nothing.
        transcription: of the workers that transcribe a clip before it is scored; None: the model
            reads no text.
    """

    model: str
    targets: tuple[str, ...]
    max_seconds: float | None
    coverage: Coverage
    precision: Precision
    timeout_seconds: float = 120.0
    model_sha256: str | None = None
    elsewhere: str | None = None
    version: str = field(default_factory=code_version)
    needs: Mapping[str, bool] = field(default_factory=lambda: dict(AUDIO_NEEDED))
    options: Mapping[str, Any] = field(default_factory=dict)
    why: Why | None = None
    transcription: TranscriptionSettings | None = None

    def of_decoders(self) -> ScoringSettings:
        """Return the settings of decoders, who leave the text to transcribers but need its sound.

        A clip without sound has no text, and is rejected if it must have one.
        """
        if self.transcription is None:
            return self
        needed = self.needs.get(AUDIO, False) or self.needs[TRANSCRIPT]
        others = {name: must for name, must in self.needs.items() if name != TRANSCRIPT}
        return replace(self, needs=others | {AUDIO: needed})
