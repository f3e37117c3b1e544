"""Systems on the same clips and the same cached features, compared, as a Prefect flow."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.exclusive import exclusive
from flows.grid import carry_out, gather_clips
from flows.server import run_names
from tasks.comparison.axes import Axes, variants_of
from tasks.comparison.plan import plan_comparison, plan_systems, union_recipe
from tasks.comparison.report import ComparisonReport
from tasks.comparison.run import missing_trainings, recorded_trainings, run_comparison
from tasks.extraction.series.given import parse_features
from tasks.labels.splits import VALID
from tasks.store.store import create_store
from tasks.training.gathering import widened_by
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
        ``report``, a `ComparisonReport`, and the rest as `flows.grid.carry_out` has it.

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
    start = start_of(union, backbone)
    gathered = gather_clips(union, labels, corpus, snapshot, split, asr, language, start, given)
    comparison = plan_comparison(
        gathered,
        plan_systems(variants, backbone, gathered.extractors),
        split=split,
        num_seeds=seeds,
        inner_share=inner_share,
        reference=reference,
        shuffled=shuffle_labels,
    )
    return carry_out(
        comparison,
        store,
        missing=lambda: missing_trainings(comparison, store),
        train=lambda on_epoch: run_comparison(comparison, store, on_epoch=on_epoch),
        report=lambda failed: ComparisonReport.of(
            comparison, recorded_trainings(comparison, store), failed
        ),
        write=lambda report, folder: report.write(folder, store),
        out=out,
        ray_address=ray_address,
    )
