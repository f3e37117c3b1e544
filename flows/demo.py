"""The demo: a corpus of synthetic voices, a small model trained on part of it, the rest scored."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.metadata import CARD_FILE
from emi_model.devices import available_cores
from emi_model.errors import TrainingError
from emi_model.metrics.agreement import evaluate
from emi_model.targets import column_name
from emi_model.training.clips import LabelledClip
from emi_model.training.first_weights import from_scratch
from emi_model.training.fit import fit
from emi_model.training.recipes import demo as demo_recipe
from flows.display.demo import DemoReport
from flows.process import process_corpus
from tasks.corpus.listing import list_clips
from tasks.extraction.audio import TIMEOUT_SECONDS
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import unpack
from tasks.extraction.rows import extract_clip
from tasks.labels.label_file import ClipLabels, read_labels
from tasks.labels.matching import match_labels
from tasks.labels.splits import TRAIN, VALID
from tasks.progress import observer
from tasks.store.query import answer, stored_question
from tasks.synthetic.corpus import LABELS_NAME, write_corpus

QUESTIONS = ("joyful_clips", "folders", "arousal_peaks")


@dataclass(frozen=True)
class DemoPlaces:
    """The paths of the demo's files, below one folder."""

    root: Path

    @property
    def corpus(self) -> Path:
        """Clips and their label file."""
        return self.root / "corpus"

    @property
    def model(self) -> Path:
        """The checkpoint."""
        return self.root / "model"

    @property
    def rest(self) -> Path:
        """Manifest of the clips that no model was trained on."""
        return self.root / "rest.csv"

    @property
    def results(self) -> Path:
        """The results store."""
        return self.root / "results"


def run_demo(root: Path) -> DemoReport:
    """Write a corpus, train, score and query; steps that an earlier demo finished are kept.

    Args:
        root: folder for everything, absent or of an earlier demo.

    Raises:
        EmiError: any of the steps cannot be done.
    """
    places = DemoPlaces(root)
    root.mkdir(parents=True, exist_ok=True)
    labels = _written_corpus(places)
    if not (places.model / CARD_FILE).exists():
        train_demo_model(places, labels)
    _write_manifest(places, labels)
    record = process_corpus(str(places.rest), str(places.results), str(places.model))
    return _report(places, labels, record["model_sha256"])


def train_demo_model(places: DemoPlaces, labels: Mapping[str, ClipLabels]) -> None:
    """Train the demo's model on the training speakers and save its checkpoint."""
    recipe = demo_recipe()
    clips = _labelled_clips(places, labels)
    observer().begin("training", recipe.train.epochs, "epochs")
    torch.set_num_threads(available_cores())
    model = from_scratch(recipe, recipe.model.targets)
    fit(
        model,
        clips,
        [],
        recipe.train,
        on_epoch=lambda report: observer().advance(1, f"loss {report.train_loss:.4f}"),
    )
    speakers = sorted({labels[clip.clip_id].speaker for clip in clips})
    card = ModelCard(
        name="demo",
        targets=model.config.targets,
        backbone="none: trained from scratch",
        backbone_licence="Apache-2.0",
        recipe="demo",
        data=f"{len(clips)} synthetic voices of this project",
        split=f"trained on speakers {', '.join(speakers)}; the others are held out",
        commit=version("emi-workflow"),
    )
    save_checkpoint(places.model, model, card)


def _written_corpus(places: DemoPlaces) -> Mapping[str, ClipLabels]:
    """Write the corpus if it is not there; return its labels by clip id."""
    label_file = places.corpus / LABELS_NAME
    if not label_file.exists():
        observer().begin("writing clips", None, "clips")
        write_corpus(places.corpus, on_progress=observer().reached)
    clips = list_clips(str(places.corpus))
    return match_labels(read_labels(label_file), [clip.clip_id for clip in clips]).labels


def _labelled_clips(places: DemoPlaces, labels: Mapping[str, ClipLabels]) -> list[LabelledClip]:
    clips = [
        clip for clip in list_clips(str(places.corpus)) if _is_for_training(clip.clip_id, labels)
    ]
    observer().begin("extracting training clips", len(clips), "clips")
    found = []
    with Prober() as prober:
        for clip in clips:
            row = extract_clip(
                clip, max_seconds=None, timeout_seconds=TIMEOUT_SECONDS, prober=prober
            )
            if row["inputs"] is None:
                raise TrainingError(f"{clip.clip_id}: {row['reason']}: {row['detail']}")
            own = labels[clip.clip_id]
            found.append(LabelledClip(clip.clip_id, unpack(row), own.emi, own.vad))
            observer().advance(1)
    return found


def _is_for_training(clip_id: str, labels: Mapping[str, ClipLabels]) -> bool:
    return clip_id in labels and labels[clip_id].split == TRAIN


def _write_manifest(places: DemoPlaces, labels: Mapping[str, ClipLabels]) -> None:
    """List the clips that were not trained on: those of held-out speakers and the broken ones."""
    clips = [clip.clip_id for clip in list_clips(str(places.corpus))]
    rest = [clip_id for clip_id in clips if not _is_for_training(clip_id, labels)]
    with places.rest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "uri"])
        writer.writerows([clip_id, f"{places.corpus.name}/{clip_id}"] for clip_id in rest)


def _report(places: DemoPlaces, labels: Mapping[str, ClipLabels], model_sha256: str) -> DemoReport:
    targets = demo_recipe().model.targets
    columns = ", ".join(column_name(target) for target in targets)
    scored = answer(
        places.results,
        f"SELECT clip_id, {columns} FROM all_scores "
        f"WHERE status = 'scored' AND model_sha256 = '{model_sha256}'",
    ).to_pylist()
    held_out = [row for row in scored if labels[row["clip_id"]].split == VALID]
    predictions = [[row[column_name(target)] for target in targets] for row in held_out]
    truth = np.stack([labels[row["clip_id"]].emi for row in held_out])
    return DemoReport(
        metrics=evaluate(predictions, truth, targets),
        num_held_out=len(held_out),
        rejections=answer(
            places.results, "SELECT clip_id, reason, detail FROM rejections ORDER BY clip_id"
        ),
        answers=dict(_ask(places.results, QUESTIONS)),
    )


def _ask(results: Path, names: Sequence[str]) -> list[tuple[str, pa.Table]]:
    questions = [stored_question(name) for name in names]
    return [(_first_line(sql), answer(results, sql)) for sql in questions]


def _first_line(sql: str) -> str:
    return sql.partition("\n")[0].removeprefix("-- ")
