"""The paper's ablation of a recipe: how much each part of the model contributes."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from emi_model.devices import available_cores
from emi_model.training.recipes import Recipe
from flows.cell_progress import CellProgress
from flows.exclusive import exclusive
from flows.server import run_names
from tasks.ablation.grid import Ablation, find_origins, plan_ablation
from tasks.ablation.report import AblationReport
from tasks.ablation.run import missing_runs, recorded_rows, run_ablation
from tasks.cluster.connection import ray_cluster
from tasks.comparison.cell import CellRun
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import LabelledAudio
from tasks.labels.splits import TRAIN, VALID
from tasks.progress import observer
from tasks.storage.open import child
from tasks.store.store import ResultsStore, create_store
from tasks.training.gathering import load_for_recipe
from tasks.training.recipe_names import chosen_recipe

REPORTS_FOLDER = "reports"


@flow(
    name="ablate", flow_run_name=run_names.ablated, validate_parameters=True, persist_result=False
)
@exclusive
def ablate(
    labels: str,
    corpus: str,
    recipe: str = "paper",
    seeds: Annotated[int, Field(ge=1)] = 3,
    backbones: list[str] | None = None,
    start_from: str | None = None,
    results: str | None = None,
    out: str | None = None,
    snapshot: str | None = None,
    ray_address: str | None = None,
    asr: str | None = None,
    language: str | None = None,
) -> dict[str, Any]:
    """Train a recipe whole and with each part switched off, and compare.

    Cells that are trained already are not trained again; more seeds or backbones add cells.

    Args:
        labels: results store with the labels.
        corpus: folder, file or manifest with the clips.
        recipe: name of a recipe, with variants, as in ``paper_small+ccc``.
        seeds: trainings of each cell: the recipe's seed and those after it.
        backbones: model folders or hub ids of wav2vec2 models; each is a row of its own.
        start_from: model folder or hub id to start every cell from in place of the recipe's own.
        results: results store that keeps the figures; default: the one with the labels.
        out: folder of the report; default: below ``reports`` in the results store.
        snapshot: label snapshot, by number or id; default: the latest.
        ray_address: Ray cluster to train on, ``HOST:PORT``, whose nodes share ``EMI_HOME``;
            default: ``RAY_ADDRESS``, else Ray is started on this machine.
        asr: ASR model that writes the text, for a model that reads; default: ``EMI_ASR``.
        language: of the speech, as ``en``; default: detected in each clip.

    Returns:
        ``report``, an `AblationReport`; ``failed``, the trainings that failed and why; ``folder``
        of the report's files; ``num_trained`` and ``num_known``, trainings done now and before.

    Raises:
        ConfigError: no such recipe.
        LabelError: no labels, or no clips of a split.
        CheckpointError: a backbone cannot be loaded.
        TrainingError: another process runs this ablation.
        StoreError: the results store is foreign, or cannot be written.
    """
    chosen = chosen_recipe(recipe)
    store = create_store(results or labels)
    origins = find_origins(chosen, start=start_from, backbones=backbones or [])
    gathered = gather_clips(chosen, labels, corpus, snapshot, asr, language)
    ablation = plan_ablation(gathered, chosen, origins, num_seeds=seeds)
    num_missing = len(missing_runs(ablation, store))
    failed = train_cells(ablation, store, ray_address) if num_missing else {}
    report = AblationReport.of(ablation, recorded_rows(store, ablation.ablation_id), failed)
    folder = out or default_folder(store, ablation)
    report.write(folder)
    return {
        "report": report,
        "failed": failed,
        "folder": folder,
        "num_trained": num_missing - len(failed),
        "num_known": len(ablation.runs) - num_missing,
    }


@task(name="gather", cache_policy=NO_CACHE, persist_result=False)
def gather_clips(
    recipe: Recipe,
    labels: str,
    corpus: str,
    snapshot: str | None,
    asr: str | None,
    language: str | None,
) -> LabelledAudio:
    """Return the clips to train and to measure on, their inputs in the cache."""
    label_set = load_labels(labels, snapshot)
    return load_for_recipe(recipe, label_set, corpus, (TRAIN, VALID), asr, language)


@task(name="train-cells", cache_policy=NO_CACHE, persist_result=False)
def train_cells(
    ablation: Ablation, store: ResultsStore, ray_address: str | None
) -> dict[CellRun, str]:
    """Train what is missing, as many cells at a time as there are cores or GPUs for."""
    observer().begin("starting workers", None, "")
    with ray_cluster(available_cores(), ray_address):
        epochs = dict.fromkeys(ablation.runs, ablation.recipe.train.epochs)
        progress = CellProgress(epochs, missing_runs(ablation, store))
        return run_ablation(ablation, store, on_epoch=progress.report)


def default_folder(store: ResultsStore, ablation: Ablation) -> str:
    """Return the folder of an ablation's report in a store; no view reads it."""
    return child(store.location, f"{REPORTS_FOLDER}/ablation-{ablation.ablation_id[:12]}")
