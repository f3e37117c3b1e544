"""Train a challenger on new labels, compare it with the champion, decide, record the decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from prefect import flow
from pydantic import Field

from emi_model.checkpoints.checkpoint import load_checkpoint
from emi_model.checkpoints.metadata import read_training_clips
from emi_model.errors import ModelNotFound
from emi_model.training.recipes import Recipe
from flows.display.hints import command
from flows.exclusive import exclusive
from flows.process import process_corpus
from flows.server import run_names
from flows.server.artifacts import show_decision_artifact, show_version
from flows.server.events import model_promoted
from flows.server.run_log import stage
from tasks.cluster.budget import training_share
from tasks.cluster.joined import joined_cluster, machines
from tasks.evaluation.evaluate import label_columns, predict
from tasks.evaluation.promotion import (
    LEVEL,
    MARGIN,
    Contest,
    DecidingClips,
    Rule,
    decide,
    decided_before,
    deciding_clips,
    deciding_split,
    record_decision,
)
from tasks.extraction.series.given import parse_features
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import CachedClip, LabelledAudio
from tasks.labels.splits import TEST, TRAIN, VALID
from tasks.progress import observer
from tasks.registry.champion import promoting, was_rolled_back
from tasks.registry.registry import find, folder_of
from tasks.registry.version import CHAMPION, MODEL, Version
from tasks.schema.registers import DECISIONS_SCHEMA
from tasks.store.store import open_store
from tasks.training.gathering import load_for_recipe, widened_by
from tasks.training.new_version import NewVersion, new_version, summary
from tasks.training.plan import Start, plan_training, start_of
from tasks.training.recipe_names import chosen_recipe, encoder_settings, name_with

FirstWeights = Literal["backbone", "champion"]
DEFAULT_RECIPE = "paper"


class Decision(NamedTuple):
    """Whether the challenger becomes champion, and what writes that to the store."""

    promoted: bool
    record: Callable[[], dict[str, Any]]


@flow(
    name="retrain", flow_run_name=run_names.trained, validate_parameters=True, persist_result=False
)
@exclusive
def retrain_model(
    labels: str,
    corpus: str,
    recipe: str | None = None,
    name: str = MODEL,
    snapshot: str | None = None,
    start: FirstWeights = "backbone",
    backbone: str | None = None,
    text_encoder: str | None = None,
    vision_encoder: str | None = None,
    workers: Annotated[int | None, Field(ge=1)] = None,
    level: Annotated[float, Field(gt=0.5, lt=1)] = LEVEL,
    margin: Annotated[float, Field(ge=-2, le=2)] = MARGIN,
    rescore: str | None = None,
    ray_address: str | None = None,
    asr: str | None = None,
    language: str | None = None,
    features: list[str] | None = None,
) -> dict[str, Any]:
    """Train a challenger on all labels and make it champion only if it is better beyond doubt.

    Both are judged on the same clips: those of the split ``test``, or where none of these can be
    read those of ``valid``, which then choose no epoch. Clips that the champion was trained on are
    left out.

    Args:
        labels: results store with the labels.
        corpus: folder, file or manifest with the clips.
        recipe: of the challenger; default: that of the champion, else ``paper``.
        name: registered model.
        snapshot: label snapshot, by number or id; default: the latest.
        start: begin with the recipe's ``backbone`` (or new weights, where it has none), or with all
            weights of the ``champion``.
        backbone: model folder or hub id to start from in place of the recipe's own.
        text_encoder: folder or hub id of an encoder of transcripts, in place of the recipe's own;
            the next retraining keeps it.
        vision_encoder: the same of faces.
        workers: processes that train together; default: one, or one a GPU of one machine.
        level: confidence of the lower bound on the difference of mean Pearson.
        margin: what the bound has to exceed.
        rescore: results store in which the corpus is scored again if the challenger is promoted,
            beside the rows of other versions.
        ray_address: Ray cluster to train and score on, ``HOST:PORT``, whose nodes share
            ``EMI_HOME``; default: ``RAY_ADDRESS``, else this machine.
        asr: ASR model that writes the text, for a model that reads; default: ``EMI_ASR``.
        language: of the speech, as ``en``; default: detected in each clip.
        features: that other programs computed, ``NAME=PATH``; each becomes a branch of the
            challenger. Name also those that the champion takes: it is measured with them.

    Returns:
        The decision's row, with the challenger's under ``training``. Where the champion was trained
        on these very labels by this recipe, or the version that was has been rolled back, there is
        nothing to decide: its ``decision_id`` is None.

    Raises:
        EmiError: as `train_model`, or another process changed the champion during the comparison;
            the champion stays, and no decision is recorded.
    """
    rule = Rule(level, margin)
    label_set = load_labels(labels, snapshot)
    champion = _champion(name)
    encoders = encoder_settings(text_encoder, vision_encoder)
    given = parse_features(features or ())
    chosen = widened_by(given, corpus)(_recipe(recipe, champion, encoders))
    with joined_cluster(ray_address):
        splits = (TRAIN, VALID, TEST)
        begin = _warm(champion, name) if start == "champion" else start_of(chosen, backbone)
        gathered = stage(
            "extract",
            load_for_recipe,
            chosen,
            label_set,
            corpus,
            splits,
            asr,
            language,
            begin,
            features=given,
        )
        chosen = _choosing_elsewhere(chosen, gathered)
        share = training_share(workers, machines())
        plan = plan_training(gathered, chosen, name=name, start=begin, **share)
        challenger = stage("train", new_version, plan, gathered, labels)
        show_version(challenger)
    champion = _champion(name)  # a training takes hours: another may have the title by now
    why = _why_nothing_is_decided(challenger.version, champion)
    if why is not None:
        nothing = _nothing_new(name, champion, why)
        show_decision_artifact(nothing)
        return nothing | {"training": summary(challenger, gathered)}
    seed = chosen.train.seed
    decision = stage("compare", _decided, challenger, champion, gathered, rule, labels, seed)
    if decision.promoted:
        with promoting(challenger.version, champion) as promoted:
            row = decision.record()
        model_promoted(promoted)
    else:
        row = decision.record()
    show_decision_artifact(row)
    if decision.promoted and rescore is not None:
        process_corpus(
            corpus,
            rescore,
            challenger.version.reference,
            asr=asr,
            language=language,
            features=features,
            ray_address=ray_address,
        )
    return {**row, "training": summary(challenger, gathered)}


def _why_nothing_is_decided(challenger: Version, champion: Version | None) -> str | None:
    """Return why there is nothing to decide; None if there is something."""
    if champion is not None and challenger.number == champion.number:
        return "nothing new: the champion was trained on these labels by this recipe"
    if was_rolled_back(challenger, champion):
        return (
            f"nothing new: version {challenger.number} was rolled back: promote it by hand "
            f"(`{command('models', 'promote', challenger.reference)}`)"
        )
    return None


def _nothing_new(name: str, champion: Version | None, why: str) -> dict[str, Any]:
    """Return a row for a run without a decision; it is not recorded, so nightly runs add none."""
    return {
        **dict.fromkeys(DECISIONS_SCHEMA.names),
        "name": name,
        "champion": None if champion is None else str(champion.number),
        "champion_sha256": None if champion is None else champion.sha256,
        "promoted": False,
        "reason": why,
    }


def _champion(name: str) -> Version | None:
    try:
        return find(CHAMPION, name)
    except ModelNotFound:
        return None


def _recipe(
    wanted: str | None,
    champion: Version | None,
    encoders: Mapping[str, str | None],
) -> Recipe:
    """Return the challenger's recipe."""
    earlier = champion.tags.get("recipe") if champion is not None else None
    return chosen_recipe(name_with(wanted or earlier or DEFAULT_RECIPE, encoders))


def _choosing_elsewhere(recipe: Recipe, gathered: LabelledAudio) -> Recipe:
    """Return a recipe so that it chooses no epoch on the clips that decide."""
    split = deciding_split(gathered)
    if split != VALID or not gathered.of_split(split):  # without any, the plan is refused at once
        return recipe
    return replace(recipe, train=replace(recipe.train, keep="last"))


def _warm(champion: Version | None, name: str) -> Start:
    if champion is None:
        raise ModelNotFound(
            f"{name} has no champion to start from: start from the backbone, or promote a version"
        )
    return Start(str(folder_of(champion)), warm=True)


def _decided(
    challenger: NewVersion,
    champion: Version | None,
    gathered: LabelledAudio,
    rule: Rule,
    labels: str,
    seed: int,
) -> Decision:
    """Return the decision: of now, or of an earlier retraining that was interrupted."""
    store, snapshot = open_store(labels), gathered.labels.snapshot
    folder = None if champion is None else folder_of(champion)
    trained_on = () if folder is None else read_training_clips(folder).get(TRAIN, ())
    deciding = deciding_clips(gathered, set(trained_on))
    earlier = decided_before(store, rule, champion, challenger.version, snapshot, deciding)
    if earlier is not None:
        return Decision(earlier["promoted"], lambda: earlier)
    contest = _contest(challenger.folder, folder, gathered, deciding)
    verdict = decide(contest, rule)
    record = partial(
        record_decision,
        store,
        contest,
        verdict,
        rule,
        champion=champion,
        challenger=challenger.version,
        pearsons=contest.pearsons,
        seed=seed,
    )
    return Decision(verdict.promoted, record)


def _contest(
    challenger: Path, champion: Path | None, gathered: LabelledAudio, deciding: DecidingClips
) -> Contest:
    observer().begin("comparing", None, "")
    clips = deciding.clips
    return Contest(
        labels=gathered.labels,
        deciding=deciding,
        champion=None if champion is None else _predictions_of(champion, clips, gathered),
        challenger=_predictions_of(challenger, clips, gathered),
    )


def _predictions_of(
    folder: Path, clips: Sequence[CachedClip], gathered: LabelledAudio
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a checkpoint's predictions in the order of the labels' targets."""
    loaded = load_checkpoint(folder)
    columns = label_columns(gathered.labels, loaded.model.config.targets)
    predictions = predict(loaded.model, clips).astype(np.float64)
    return predictions[:, np.argsort(columns)]
