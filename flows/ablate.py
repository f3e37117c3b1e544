"""The paper's ablation of a recipe: how much each part of the model contributes."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.exclusive import exclusive
from flows.grid import carry_out, gather_clips
from flows.server import run_names
from tasks.ablation.grid import find_origins, plan_ablation
from tasks.ablation.report import AblationReport
from tasks.ablation.run import missing_runs, recorded_rows, run_ablation
from tasks.extraction.series.given import parse_features
from tasks.labels.splits import VALID
from tasks.store.store import create_store
from tasks.training.gathering import widened_by
from tasks.training.recipe_names import chosen_recipe


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
    features: list[str] | None = None,
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
        features: that other programs computed, ``NAME=PATH``; each becomes a branch of the recipe,
            and a row without it.

    Returns:
        ``report``, an `AblationReport`, and the rest as `flows.grid.carry_out` has it.

    Raises:
        ConfigError: no such recipe, or features that cannot be read.
        LabelError: no labels, or no clips of a split.
        CheckpointError: a backbone cannot be loaded.
        TrainingError: another process runs this ablation.
        StoreError: the results store is foreign, or cannot be written.
    """
    given = parse_features(features or ())
    chosen = widened_by(given, corpus)(chosen_recipe(recipe))
    store = create_store(results or labels)
    origins = find_origins(chosen, start=start_from, backbones=backbones or [])
    gathered = gather_clips(chosen, labels, corpus, snapshot, VALID, asr, language, None, given)
    ablation = plan_ablation(gathered, chosen, origins, num_seeds=seeds)
    return carry_out(
        ablation,
        store,
        missing=lambda: missing_runs(ablation, store),
        train=lambda on_epoch: run_ablation(ablation, store, on_epoch=on_epoch),
        report=lambda failed: AblationReport.of(
            ablation, recorded_rows(store, ablation.ablation_id), failed
        ),
        write=AblationReport.write,
        out=out,
        ray_address=ray_address,
    )
