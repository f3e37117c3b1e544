"""Systems on the same clips and the same cached features, compared, as a Prefect flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from emi_model.devices import available_cores
from emi_model.training.recipes import Recipe
from flows.ablate import REPORTS_FOLDER
from flows.cell_progress import CellProgress
from flows.exclusive import exclusive
from flows.server import run_names
from tasks.cluster.connection import ray_cluster
from tasks.comparison.axes import Axes, variants_of
from tasks.comparison.cell import CellRun
from tasks.comparison.plan import Comparison, plan_comparison, plan_systems, union_recipe
from tasks.comparison.report import ComparisonReport
from tasks.comparison.run import missing_trainings, recorded_trainings, run_comparison
from tasks.extraction.series.given import Given, parse_features
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import LabelledAudio
from tasks.labels.splits import TRAIN, VALID
from tasks.progress import observer
from tasks.storage.open import child
from tasks.store.store import ResultsStore, create_store
from tasks.training.gathering import load_for_recipe, widened_by
from tasks.training.plan import start_of


@flow(
    name="compare", flow_run_name=run_names.compared, validate_parameters=True, persist_result=False
)
@exclusive
def compare_fusions(
    labels: str,
    corpus: str,
    recipes: list[str],
    branches: list[str] | None = None,
    fusions: list[str] | None = None,
    losses: list[str] | None = None,
    settings: dict[str, str] | None = None,
    seeds: Annotated[int, Field(ge=1)] = 3,
    reference: str | None = None,
    split: str = VALID,
    inner_share: Annotated[float, Field(gt=0, lt=1)] = 0.2,
    shuffle_labels: bool = False,
    backbone: str | None = None,
    results: str | None = None,
    out: str | None = None,
    snapshot: str | None = None,
    ray_address: str | None = None,
    asr: str | None = None,
    language: str | None = None,
    features: list[str] | None = None,
) -> dict[str, Any]:
    """Train recipes x branches x fusions x losses x seeds on the same clips, and compare.

    What is trained already is not trained again; more systems or seeds add to it.

    Args:
        labels: results store with the labels.
        corpus: folder, file or manifest with the clips.
        recipes: names of recipes, with variants, as in ``paper_small+ccc``.
        branches: subsets of the recipes' modalities, as ``audio+text``; default: their own.
        fusions: names, with arguments as in ``low_rank:rank=4``; default: the recipes' own.
        losses: names; default: the recipes' own.
        settings: of all recipes, by key.
        seeds: trainings of each system: its recipe's seed and those after it.
        reference: name of the system to compare with, or ``chance``; default: the first.
        split: whose clips are measured.
        inner_share: of the training clips, by speaker, that choose the epoch.
        shuffle_labels: a control: shuffle the labels of the training.
        backbone: model folder or hub id to start from in place of the recipes' own.
        results: results store that keeps the figures; default: the one with the labels.
        out: folder of the report; default: below ``reports`` in the results store.
        snapshot: label snapshot, by number or id; default: the latest.
        ray_address: Ray cluster to train on, ``HOST:PORT``, whose nodes share ``EMI_HOME``;
            default: ``RAY_ADDRESS``, else Ray is started on this machine.
        asr: ASR model that writes the text, for models that read; default: ``EMI_ASR``.
        language: of the speech, as ``en``; default: detected in each clip.
        features: that other programs computed, ``NAME=PATH``; each becomes a branch of all recipes.

    Returns:
        ``report``, a `ComparisonReport`; ``failed``, the trainings that failed and why, by name
        and seed; ``folder`` of the report's files; ``num_trained`` and ``num_known``, trainings
        done now and before.

    Raises:
        ConfigError: no such recipe, branch, fusion, loss or reference.
        LabelError: no labels, or no clips of a split.
        CheckpointError: a backbone or an encoder cannot be loaded.
        TrainingError: another process runs this comparison.
        StoreError: the results store is foreign, or cannot be written.
    """
    axes = Axes(recipes, branches or (), fusions or (), losses or (), dict(settings or {}))
    given = parse_features(features or ())
    variants = variants_of(axes, widened_by(given, corpus))
    store = create_store(results or labels)
    union = union_recipe([variant.recipe for variant in variants])
    gathered = gather_for_all(
        union, labels, corpus, snapshot, split, backbone, asr, language, given
    )
    comparison = plan_comparison(
        gathered,
        plan_systems(variants, backbone, gathered.extractors),
        split=split,
        num_seeds=seeds,
        inner_share=inner_share,
        reference=reference,
        shuffled=shuffle_labels,
    )
    num_missing = len(missing_trainings(comparison, store))
    failed = train_systems(comparison, store, ray_address) if num_missing else {}
    report = ComparisonReport.of(comparison, recorded_trainings(comparison, store), failed)
    folder = out or child(
        store.location, f"{REPORTS_FOLDER}/comparison-{comparison.comparison_id[:12]}"
    )
    report.write(folder, store)
    return {
        "report": report,
        "failed": {
            (comparison.by_cell[run.cell].name, run.seed): reason for run, reason in failed.items()
        },
        "folder": folder,
        "num_trained": num_missing - len(failed),
        "num_known": len(comparison.runs) - num_missing,
    }


@task(name="gather", cache_policy=NO_CACHE, persist_result=False)
def gather_for_all(
    union: Recipe,
    labels: str,
    corpus: str,
    snapshot: str | None,
    split: str,
    backbone: str | None,
    asr: str | None,
    language: str | None,
    features: Mapping[str, Given],
) -> LabelledAudio:
    """Return the clips to train and to measure on, all systems' inputs in the cache."""
    start, label_set = start_of(union, backbone), load_labels(labels, snapshot)
    return load_for_recipe(
        union, label_set, corpus, (TRAIN, split), asr, language, start, features=features
    )


@task(name="train-systems", cache_policy=NO_CACHE, persist_result=False)
def train_systems(
    comparison: Comparison, store: ResultsStore, ray_address: str | None
) -> dict[CellRun, str]:
    """Train what is missing, as many systems at a time as there are cores or GPUs for."""
    observer().begin("starting workers, encoding", None, "")
    with ray_cluster(available_cores(), ray_address):
        systems = comparison.by_cell
        progress = CellProgress(
            {run: systems[run.cell].variant.recipe.train.epochs for run in comparison.runs},
            missing_trainings(comparison, store),
            {cell: system.name for cell, system in systems.items()},
        )
        return run_comparison(comparison, store, on_epoch=progress.report)
