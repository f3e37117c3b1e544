"""The demo: a made corpus, a small model trained on part of it, the rest scored."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from emi_model.arrays import Floats
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.checkpoints.metadata import CARD_FILE
from emi_model.checkpoints.resolve import read_metadata
from emi_model.devices import available_cores
from emi_model.errors import ConfigError, OutOfMemory, TrainingError
from emi_model.metrics.agreement import evaluate, mean_pearson
from emi_model.predict import Predictor, Scores
from emi_model.targets import column_name
from emi_model.training.clips import LabelledClip
from emi_model.training.first_weights import from_scratch
from emi_model.training.fit import fit
from flows.demo_kinds import AUDIO_DEMO, DemoKind, demo_kind
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
from tasks.synthetic.corpus import LABELS_NAME
from tasks.transcription.asr_models import asr_columns


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


def run_demo(root: Path, modalities: str = AUDIO_DEMO) -> DemoReport:
    """Write a corpus, train, score and query; steps that an earlier demo finished are kept.

    Args:
        root: folder for everything, absent or of an earlier demo of the same modalities.
        modalities: ``audio`` or ``all``.

    Raises:
        ConfigError: the folder holds a demo of other modalities, or packages are missing.
        EmiError: any of the steps cannot be done.
    """
    places, kind = DemoPlaces(root), demo_kind(modalities)
    _check_kind(places, kind)
    root.mkdir(parents=True, exist_ok=True)
    labels = _written_corpus(places, kind)
    clips: dict[str, list[LabelledClip]] = {}
    if not (places.model / CARD_FILE).exists():
        clips[TRAIN] = _labelled_clips(places, labels, kind, TRAIN)
        train_demo_model(places, labels, kind, clips[TRAIN])
    _write_manifest(places, labels)
    record = process_corpus(
        str(places.rest), str(places.results), str(places.model), **kind.scoring
    )
    report = _report(places, labels, kind, record["model_sha256"])
    if modalities == AUDIO_DEMO:
        return report
    held_out = _labelled_clips(places, labels, kind, VALID)
    return replace(report, by_modalities=pearson_by_modalities(places, held_out))


def train_demo_model(
    places: DemoPlaces,
    labels: Mapping[str, ClipLabels],
    kind: DemoKind,
    clips: Sequence[LabelledClip],
) -> None:
    """Train the demo's model on clips of the training speakers and save its checkpoint."""
    recipe = kind.recipe
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
        recipe=recipe.name,
        data=f"{len(clips)} {kind.data} of this project",
        split=f"trained on speakers {', '.join(speakers)}; the others are held out",
        commit=version("emi-workflow"),
        extractors={name: asr_columns(settings) for name, settings in kind.options.items()},
    )
    save_checkpoint(places.model, model, card)


def _check_kind(places: DemoPlaces, kind: DemoKind) -> None:
    """Check that an earlier demo in the folder is one of the same kind.

    Raises:
        ConfigError: it is not.
    """
    if not (places.model / CARD_FILE).exists():
        return
    found = read_metadata(str(places.model)).card.recipe
    if found != kind.recipe.name:
        raise ConfigError(
            f"{places.root} holds a demo with recipe {found!r}, expected {kind.recipe.name!r}: "
            "name another folder with --dir"
        )


def _written_corpus(places: DemoPlaces, kind: DemoKind) -> Mapping[str, ClipLabels]:
    """Write the corpus if it is not there; return its labels by clip id."""
    label_file = places.corpus / LABELS_NAME
    if not label_file.exists():
        observer().begin("writing clips", None, "clips")
        kind.write(places.corpus, observer().reached)
    clips = list_clips(str(places.corpus))
    return match_labels(read_labels(label_file), [clip.clip_id for clip in clips]).labels


def _labelled_clips(
    places: DemoPlaces, labels: Mapping[str, ClipLabels], kind: DemoKind, split: str
) -> list[LabelledClip]:
    clips = [clip for clip in list_clips(str(places.corpus)) if _is_of(clip.clip_id, labels, split)]
    observer().begin("extracting clips", len(clips), "clips")
    found = []
    with Prober() as prober:
        for clip in clips:
            row = extract_clip(
                clip,
                max_seconds=None,
                timeout_seconds=TIMEOUT_SECONDS,
                prober=prober,
                needs=kind.recipe.model.needs,
                options=kind.options,
            )
            if row["inputs"] is None:
                raise TrainingError(f"{clip.clip_id}: {row['reason']}: {row['detail']}")
            own = labels[clip.clip_id]
            found.append(LabelledClip(clip.clip_id, unpack(row), own.emi, own.vad))
            observer().advance(1)
    return found


def pearson_by_modalities(
    places: DemoPlaces, clips: Sequence[LabelledClip]
) -> dict[str, float | None]:
    """Return the mean Pearson of scores, of some modalities of each clip alone.

    A clip that has none of them is scored as the mean of the others.
    """
    loaded = load_checkpoint(places.model).model
    predictor, targets = Predictor(loaded, precision="fp32"), loaded.config.targets
    truth = np.stack([clip.emi for clip in clips])
    found = {}
    for chosen in subsets(loaded.config.modalities):
        kept = [
            {name: clip.inputs[name] for name in chosen if name in clip.inputs} for clip in clips
        ]
        scored = [index for index, inputs in enumerate(kept) if inputs]
        given = np.stack([_emi(scores) for scores in predictor([kept[index] for index in scored])])
        given = np.clip(given, 0.0, 1.0)  # as scores are
        predictions = np.tile(given.mean(axis=0), (len(clips), 1))
        predictions[scored] = given
        found[" + ".join(chosen)] = mean_pearson(evaluate(predictions, truth, targets))
    return found


def _emi(scores: Scores | OutOfMemory) -> Floats:
    if isinstance(scores, OutOfMemory):
        raise TrainingError(f"a clip of the demo does not fit into memory: {scores}")
    assert scores.emi is not None, "the demo's model has targets"
    return scores.emi


def subsets(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """Return each modality, each pair and so on, up to all of them."""
    sizes = range(1, len(modalities) + 1)
    return [chosen for size in sizes for chosen in combinations(modalities, size)]


def _is_of(clip_id: str, labels: Mapping[str, ClipLabels], split: str) -> bool:
    return clip_id in labels and labels[clip_id].split == split


def _write_manifest(places: DemoPlaces, labels: Mapping[str, ClipLabels]) -> None:
    """List the clips that were not trained on: those of held-out speakers and the broken ones."""
    clips = [clip.clip_id for clip in list_clips(str(places.corpus))]
    rest = [clip_id for clip_id in clips if not _is_of(clip_id, labels, TRAIN)]
    with places.rest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "uri"])
        writer.writerows([clip_id, f"{places.corpus.name}/{clip_id}"] for clip_id in rest)


def _report(
    places: DemoPlaces, labels: Mapping[str, ClipLabels], kind: DemoKind, model_sha256: str
) -> DemoReport:
    targets = kind.recipe.model.targets
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
        answers=dict(_ask(places.results, kind.questions)),
    )


def _ask(results: Path, names: Sequence[str]) -> list[tuple[str, pa.Table]]:
    questions = [stored_question(name) for name in names]
    return [(_first_line(sql), answer(results, sql)) for sql in questions]


def _first_line(sql: str) -> str:
    return sql.partition("\n")[0].removeprefix("-- ")
