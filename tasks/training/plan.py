"""The plan of a training: its clips, its first weights, its settings and its name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from emi_model.architecture.backbones.registry import geometry_of
from emi_model.checkpoints.card import NO_LICENCE, ModelCard
from emi_model.checkpoints.checkpoint import LoadedModel
from emi_model.checkpoints.encoders import load_encoders, with_encoder_paths
from emi_model.checkpoints.load import load_model
from emi_model.checkpoints.pretrained import LoadedBackbone, load_backbone, read_backbone_arguments
from emi_model.checkpoints.resolve import resolve
from emi_model.devices import available_cores
from emi_model.errors import ConfigError, LabelError
from emi_model.modalities import AUDIO
from emi_model.training.recipes import Recipe
from tasks.labels.labelled_clips import CachedClip, LabelledAudio
from tasks.labels.splits import TRAIN, VALID
from tasks.registry.registry import resolve_model
from tasks.training.job import TrainingJob

_NAME_CHARS = 100
"""Characters of a recipe's name in the name of a folder."""

FROM_SCRATCH = "none: trained from scratch"


@dataclass(frozen=True)
class Start:
    """The model that a training begins with.

    Attributes:
        folder: of the model, on this machine.
        warm: start from all its weights, not only from its backbone and VAD head.
    """

    folder: str
    warm: bool


@dataclass(frozen=True)
class TrainingPlan:
    """A training that has not begun yet.

    Attributes:
        job: what each worker needs.
        training_id: hash (hex) of all that decides the outcome; a plan with the same id continues
            the same training where it was stopped.
        workers: processes that train together.
    """

    job: TrainingJob
    training_id: str
    workers: int

    @property
    def run_name(self) -> str:
        """Return the name of the training's folder and MLflow run: recipe and id."""
        plain = re.sub(r"[^+=]*/", "", self.job.recipe.name)  # files and folders without paths
        plain = re.sub(r"[^\w.=,-]+", "-", plain)[:_NAME_CHARS]
        return f"{plain}-{self.training_id[:12]}"

    def parameters(self) -> dict[str, Any]:
        """Return every setting by name."""
        recipe = self.job.recipe
        return {
            "recipe": recipe.name,
            "train": asdict(recipe.train),
            "model": recipe.model.to_dict(),
            "start": self.job.start or FROM_SCRATCH,
            "warm": self.job.warm,
            "workers": self.workers,
            "num_train": len(self.job.train),
            "num_valid": len(self.job.valid),
        }


def plan_training(
    gathered: LabelledAudio,
    recipe: Recipe,
    *,
    name: str,
    start: Start | None,
    workers: int,
    gpus: int,
    threads: int | None = None,
) -> TrainingPlan:
    """Return the plan to train a recipe on labelled audio.

    Args:
        gathered: with the splits ``train`` and ``valid``.
        recipe: what to train and how.
        name: of the new model.
        start: the model to begin with; None: new weights.
        workers: processes that train together.
        gpus: of the cluster; if there are any, a worker's cores only feed its GPU.
        threads: of a worker; default: its share of this machine's cores.

    Raises:
        LabelError: there is no clip to learn from, or none to choose the epoch by.
        CheckpointError: the model to begin with, or an encoder, cannot be loaded.
    """
    train, valid = gathered.of_split(TRAIN), gathered.of_split(VALID)
    _check_splits(gathered, recipe, train, valid)
    labels = gathered.labels
    threads = threads or (1 if gpus else max(1, available_cores() // workers))
    recipe, begun = _begun(recipe, start)
    sha256, card = _first_card(name, recipe, labels.targets, begun)
    del begun  # the workers load their own
    here, card, encoders = _with_encoders(recipe, card, start)
    clips = f"{_format_clips(train)} to train, {_format_clips(valid)} to choose and calibrate"
    card = replace(
        card,
        data=f"labels {labels.snapshot[:12]}: {clips}",
        split=labels.split_sha256,
        extractors=gathered.extractors,
    )
    job = TrainingJob(
        recipe=here,
        targets=labels.targets,
        train=train,
        valid=valid,
        start=start.folder if start else None,
        warm=start.warm if start else False,
        card=card,
        split_sha256=labels.split_sha256,
        threads=threads,
    )
    training_id = _training_id(replace(job, recipe=recipe), sha256, encoders)
    return TrainingPlan(job, training_id, workers)


def start_of(recipe: Recipe, backbone: str | None) -> Start | None:
    """Return the model to start from: the named backbone, else the recipe's; None: from scratch.

    Raises:
        ModelNotFound: it cannot be found.
        RegistryError: it is a registered model, and the registry does not give it.
    """
    reference = backbone or recipe.backbone
    if AUDIO not in recipe.model.branches:
        if backbone:
            raise ConfigError("a backbone is named, but the recipe's model hears nothing")
        return None
    if not reference:
        return None
    return Start(str(resolve(resolve_model(reference)).absolute()), warm=False)


def min_samples_of(recipe: Recipe, start: Start | None) -> int:
    """Return the samples of the shortest clip that a training takes: one frame of its backbone.

    1 where clips may lack audio.

    Raises:
        CheckpointError: the model to begin with has no backbone that can be built here.
    """
    if AUDIO not in recipe.model.required:
        return 1
    arguments = (
        recipe.model.backbone if start is None else read_backbone_arguments(Path(start.folder))
    )
    return geometry_of(arguments).min_samples


def _begun(
    recipe: Recipe, start: Start | None
) -> tuple[Recipe, LoadedModel | LoadedBackbone | None]:
    """Return the recipe for the model to begin with, and that model.

    A backbone without a VAD head gets a new one only where the recipe trains it: an untrained head
    would fill the columns of arousal, dominance, valence with noise.
    """
    if start is None:
        return recipe, None
    if start.warm:
        return recipe, load_model(start.folder)
    loaded = load_backbone(start.folder)
    if not loaded.head and not recipe.train.vad_loss_weight:
        recipe = replace(recipe, model=replace(recipe.model, vad_head=False))
    return recipe, loaded


def _first_card(
    name: str,
    recipe: Recipe,
    targets: tuple[str, ...],
    begun: LoadedModel | LoadedBackbone | None,
) -> tuple[str, ModelCard]:
    """Return the hash of the model to begin with, and a first card of the new model."""
    made = version("emi-workflow")
    if begun is None:
        card = ModelCard(name, targets, FROM_SCRATCH, NO_LICENCE, recipe=recipe.name, commit=made)
        return "", card
    if isinstance(begun, LoadedBackbone):
        source, licence, encoders = begun.name, begun.licence, {}
    else:
        old = begun.card
        source, licence, encoders = old.backbone, old.backbone_licence, dict(old.encoders)
    card = ModelCard(name, targets, source, licence, recipe=recipe.name, commit=made)
    card = replace(card, encoders=encoders)
    return begun.sha256, card


def _with_encoders(
    recipe: Recipe, card: ModelCard, start: Start | None
) -> tuple[Recipe, ModelCard, dict[str, str]]:
    """Return the recipe with its encoders' folders on this machine, the card, and their hashes."""
    if start is not None and start.warm:  # the model to begin with has its encoders
        return recipe, card, {}
    here = replace(recipe, model=with_encoder_paths(recipe.model))
    found = load_encoders(here.model)
    card = replace(card, encoders={encoder.modality: encoder.facts for encoder in found})
    return here, card, {encoder.modality: encoder.sha256 for encoder in found}


def _check_splits(
    gathered: LabelledAudio,
    recipe: Recipe,
    train: tuple[CachedClip, ...],
    valid: tuple[CachedClip, ...],
) -> None:
    lost = f" ({len(gathered.missing)} labelled clips have no audio)" if gathered.missing else ""
    if not train:
        raise LabelError(f"found no clip in the split {TRAIN!r}{lost}: label some")
    if not valid and recipe.train.keep == "best":
        raise LabelError(
            f"found no clip in the split {VALID!r}{lost}, expected some to choose the epoch by: "
            "label some, or draw them (`emi labels add --valid-share`)"
        )


def _format_clips(clips: tuple[CachedClip, ...]) -> str:
    speakers = {clip.speaker for clip in clips if clip.speaker}
    return f"{len(clips)} clips" + (f" of {len(speakers)} speakers" if speakers else "")


def facts_of_inputs(
    encoders: Mapping[str, str], extractors: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return what the id of a training has to cover beside clips and recipe; without any, nothing.

    Args:
        encoders: hash (hex) of each encoder by modality: the recipe only refers to them.
        extractors: facts of the extractors of the clips' inputs, by modality.
    """
    found = {
        "encoders": dict(encoders),
        "extractors": {modality: dict(facts) for modality, facts in extractors.items()},
    }
    return {name: facts for name, facts in found.items() if facts}


def _training_id(job: TrainingJob, start_sha256: str, encoders: Mapping[str, str]) -> str:
    decides: dict[str, Any] = {
        **facts_of_inputs(encoders, job.card.extractors),
        "name": job.card.name,
        "recipe": {
            **asdict(job.recipe),
            "train": job.recipe.train.to_dict(),
            "model": job.recipe.model.own_fields(),
        },
        "targets": job.targets,
        "start": [start_sha256, job.warm],
        "split": job.split_sha256,
        "clips": [[_content(clip) for clip in clips] for clips in (job.train, job.valid)],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _content(clip: CachedClip) -> list[Any]:
    vad = None if clip.vad is None else clip.vad.tolist()
    raters = [] if clip.num_raters is None else [clip.num_raters]
    return [clip.content_sha256, clip.emi.tolist(), vad, *raters]


def storage_of(plan: TrainingPlan, root: Path) -> Path:
    """Return the folder that keeps a training's state, below the home that nodes share."""
    return root / "training" / plan.run_name
