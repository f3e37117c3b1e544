"""Explains a few clips without Ray, without Prefect: sentences beside the scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from emi_model.architecture.config import Precision
from emi_model.checkpoints.checkpoint import LoadedModel
from emi_model.checkpoints.load import load_model
from emi_model.devices import available_cores
from emi_model.language.causal import CausalWriter
from emi_model.modalities import AUDIO, TRANSCRIPT
from emi_model.predict import Predictor
from tasks.corpus.clips import ClipFile
from tasks.corpus.listing import clip_file
from tasks.explaining.evidence import Evidence
from tasks.explaining.measuring import evidence_of
from tasks.explaining.prompt import PROMPT_VERSION
from tasks.explaining.writing import explained
from tasks.extraction.audio import TIMEOUT_SECONDS
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import pack, unpack
from tasks.extraction.rows import Row, extract_clip
from tasks.extraction.text import text_input
from tasks.provenance import new_run_id
from tasks.registry.registry import resolve_model
from tasks.schema.explanations import EXPLANATIONS_SCHEMA
from tasks.schema.outcomes import Reason, Rejection, Status, rejected
from tasks.schema.registers import register_table
from tasks.schema.tables import EXPLANATIONS
from tasks.scoring.clip_scorer import ClipScorer
from tasks.scoring.settings import Coverage
from tasks.store.store import ResultsStore
from tasks.transcription.asr_models import asr_columns
from tasks.transcription.other_asr import remark_other_asr
from tasks.transcription.settings import (
    ASR_VARIABLE,
    AsrSettings,
    asr_settings,
    settings_of_extractors,
)
from tasks.transcription.transcriber import Transcriber
from tasks.transcription.transcript import Transcript


@dataclass(frozen=True)
class MeasuredClip:
    """A clip's row as scored or rejected, and its evidence if it was scored."""

    row: Row
    evidence: Evidence | None


class ClipMeasurer:
    """Extracts, transcribes, scores and measures clips, one at a time.

    Attributes:
        loaded: the model.
        asr: the ASR model; None: clips are not transcribed.
        coverage: ``first`` window or ``full``.
    """

    def __init__(
        self, loaded: LoadedModel, asr: AsrSettings | None, coverage: Coverage, precision: Precision
    ) -> None:
        """Load the ASR model and make the scorer.

        Raises:
            ConfigError, CheckpointError: the ASR model cannot be used.
        """
        self.loaded, self.asr, self.coverage = loaded, asr, coverage
        self._transcriber = None if asr is None else Transcriber(asr, threads=available_cores())
        predictor = Predictor(loaded.model, precision=precision)
        self._score = ClipScorer(predictor, coverage, intervals=loaded.intervals)
        self._needs = loaded.modalities
        hears = self._needs.get(AUDIO, False) or self._needs.get(TRANSCRIPT, False)
        others = {name: must for name, must in self._needs.items() if name != TRANSCRIPT}
        self._extracted = others | {AUDIO: hears}

    def __call__(self, clip: ClipFile, prober: Prober) -> MeasuredClip:
        """Return a clip's row and evidence; one that cannot be scored is a rejection.

        Raises:
            CorpusError: its storage does not answer.
        """
        config = self.loaded.model.config
        row = extract_clip(
            clip,
            max_seconds=config.clip_seconds if self.coverage == "first" else None,
            timeout_seconds=TIMEOUT_SECONDS,
            prober=prober,
            needs=self._extracted,
        )
        waveform = unpack(row).get(AUDIO)
        transcript = None
        if self._transcriber is not None and waveform is not None:
            transcript = self._transcriber(waveform)
        if row["status"] == Status.SCORED.value:
            row = self._with_inputs(row, transcript)
        (row,) = self._score([row])
        if row["status"] != Status.SCORED.value:
            return MeasuredClip(row, None)
        return MeasuredClip(row, evidence_of(waveform, row, config.targets, transcript))

    def _with_inputs(self, row: Row, transcript: Transcript | None) -> Row:
        """Return a row with the inputs that the model takes, its text among them."""
        items = {item["modality"]: item for item in row["inputs"]}
        if TRANSCRIPT in self._needs and transcript is not None:
            text = text_input(transcript, len(unpack(row)[AUDIO]))
            if not isinstance(text, Rejection):
                items[TRANSCRIPT] = pack(TRANSCRIPT, text)
            elif self._needs[TRANSCRIPT]:
                return rejected(row, text.reason, text.detail)
        inputs = [items[name] for name in self._needs if name in items]
        if not inputs:
            why = Reason.NO_SPEECH if TRANSCRIPT in self._needs else Reason.NO_FACE
            return rejected(row, why, "found sound alone, which this model does not take")
        return {**row, "inputs": inputs}


def explain_files(
    files: Sequence[str],
    model: str,
    *,
    coverage: Coverage = "first",
    precision: Precision = "auto",
    asr: str | None = None,
    language: str | None = None,
    llm: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Explain files, one after the other.

    Args:
        files: media files, or objects as ``s3://...``; a missing one becomes a rejection.
        model: as `tasks.scoring.direct.score_files` takes it.
        coverage: ``first`` window or ``full``.
        precision: as there.
        asr: ASR model; default: ``EMI_ASR``; without either the words stay out, unless the model
            reads.
        language: of the speech; default: detected in each clip.
        llm: causal language model that writes the sentences: a folder, or a hub id; None: the
            template does.

    Yields:
        Rows under `tasks.schema.explanations.EXPLANATIONS_SCHEMA`, in the order of ``files``.

    Raises:
        ConfigError: the model reads text, and no ASR model is named.
        CheckpointError: a model cannot be loaded.
        RegistryError: the registry does not have the model or does not answer.
        CorpusError: a storage does not answer.
    """
    loaded = load_model(resolve_model(model))
    options = settings_of_extractors(loaded.modalities, asr, language)
    remark_other_asr(loaded.card.extractors, options)
    heard_by = options.get(TRANSCRIPT)
    if heard_by is None and (asr or os.environ.get(ASR_VARIABLE)):
        heard_by = asr_settings(asr, language)
    write = CausalWriter(llm) if llm else None
    measured = ClipMeasurer(loaded, heard_by, coverage, precision)
    facts: dict[str, Any] = {
        "model": loaded.card.name,
        "model_sha256": loaded.sha256,
        "coverage": coverage,
        "run_id": new_run_id(),
        "prompt_version": PROMPT_VERSION,
        "language_model": write.name if write else None,
        "language_model_sha256": write.sha256 if write else None,
        "asr_model": None,
        "asr_key": None,
    }
    if heard_by is not None:
        columns = asr_columns(heard_by)
        facts |= {name: columns[name] for name in ("asr_model", "asr_key")}
    clips = [clip_file(file, os.fsencode(file)) for file in files]
    with Prober() as prober:
        for clip in clips:
            yield _row(measured(clip, prober), facts, write)


def record_explanations(store: ResultsStore, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add the rows of one call of `explain_files` to a store; nothing where there are none.

    Raises:
        StoreError: the store cannot be written.
    """
    if rows:
        store.record(EXPLANATIONS, rows[0]["run_id"], register_table(EXPLANATIONS, rows))


def _row(
    found: MeasuredClip, facts: Mapping[str, Any], write: Callable[[str], str] | None
) -> dict[str, Any]:
    row: dict[str, Any] = {name: found.row.get(name) for name in EXPLANATIONS_SCHEMA.names}
    row |= {**facts, "explained_at": datetime.now(UTC), "num_sentences": 0, "num_dropped": 0}
    if found.evidence is None:
        return row
    text = explained(found.evidence, write)
    return row | {
        "status": Status.EXPLAINED.value,
        "text": text.text,
        "writer": text.writer,
        "num_sentences": len(text.sentences),
        "num_dropped": text.num_dropped,
        "evidence": found.evidence.to_json(),
    }
