"""Scores a corpus of damaged files in this process, and checks what must hold of each."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow as pa
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.load import load_model
from emi_model.predict import Predictor
from tasks.cluster.budget import ScorerPool
from tasks.corpus.done import ScoringPlan
from tasks.extraction.headers import Prober
from tasks.schema.scores import COSTS, WORKED, costed_schema
from tasks.scoring.clip_scorer import ClipScorer
from tasks.scoring.commit import Committer
from tasks.scoring.job import Run
from tasks.scoring.run import score_corpus
from tasks.scoring.stages.extract_stage import extract_rows
from tasks.store.query import answer
from tests.tiny import BACKBONE

_ROWS = "SELECT clip_id, status, reason, detail, flags, duration_seconds, joy FROM scores"


@dataclass
class Outcome:
    """What a campaign found.

    Attributes:
        outcomes: counts of clips by reason; those scored under ``scored``.
        faults: what should not be, a line each; empty if all is well.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def run_campaign(corpus: Path, work: Path) -> Outcome:
    """Score a corpus twice, and check rows and traces.

    Args:
        corpus: a folder of damaged files.
        work: a folder for the model and the store.
    """
    model = _write_model(work / "model")
    before = _traces()
    first = score_corpus(str(corpus), str(work / "store"), model, score_stage=_score_here)
    again = score_corpus(str(corpus), str(work / "store"), model, score_stage=_score_here)
    found = Outcome()
    names = {path.name for path in corpus.iterdir() if path.is_symlink() or path.is_file()}
    rows = answer(str(work / "store"), _ROWS).to_pylist()
    found.outcomes.update(row["reason"] or row["status"] for row in rows)
    found.faults += [f"no row: {name}" for name in names - {row["clip_id"] for row in rows}]
    found.faults += [f"{len(rows)} rows for {len(names)} files"] * (len(rows) != len(names))
    found.faults += [fault for row in rows for fault in _faults_of(row)]
    for record in (first, again):
        if record["state"] != "completed":
            found.faults.append(f"a run ended as {record['state']}: {record['message']}")
    dangling = found.outcomes["missing"]  # looked for again: it may be there now
    if again["num_skipped"] != len(names) - dangling or again["num_scored"]:
        found.faults.append(
            f"the rerun scored {again['num_scored']}, skipped {again['num_skipped']}"
        )
    found.faults += [f"left behind: {trace}" for trace in sorted(_traces() - before)]
    return found


def _faults_of(row: Mapping[str, object]) -> Iterator[str]:
    """Yield what is wrong with one row."""
    name, detail = row["clip_id"], str(row["detail"] or "")
    if row["status"] == "scored":
        if row["joy"] is None or not row["duration_seconds"]:
            yield f"scored without a score: {name}"
    elif not detail:
        yield f"rejected without a word: {name}"
    if len(detail) > 300 or "\n" in detail or "0x7f" in detail or "None" in detail:
        yield f"not for people: {name}: {detail}"
    if row["reason"] in ("worker_died", "out_of_memory", "timeout"):
        yield f"{row['reason']}: {name}"


def _score_here(run: Run, plan: ScoringPlan, _pool: ScorerPool, _address: str | None) -> None:
    """Do without Ray what the workers of a run do."""
    settings = run.job.settings
    loaded = load_model(settings.model)
    scorer = ClipScorer(Predictor(loaded.model, precision="fp32"), settings.coverage)
    schema = costed_schema(settings.targets)
    unknown = dict.fromkeys([*(cost.name for cost in COSTS), *(fact.name for fact in WORKED)])
    with Prober() as prober, Committer(run.store, run.stamp, run.tally) as committer:
        for table in extract_rows(plan.todo, settings, prober):
            rows = [{**unknown, **row} for row in scorer(table.to_pylist())]
            committer.add(pa.Table.from_pylist(rows, schema))


def _write_model(folder: Path) -> str:
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE)
    save_checkpoint(folder, EmiModel(config).eval(), ModelCard("tiny", config.targets))
    return str(folder)


def _traces() -> set[str]:
    """Return what a run may leave: processes of its own, files in the folder for such files."""
    children = {f"process {child.pid}" for child in psutil.Process().children(recursive=True)}
    return children | {f"file {file}" for file in Path(tempfile.gettempdir()).iterdir()}
