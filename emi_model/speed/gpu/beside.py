"""A second process on the same card, both scoring at once: each gets the scores of one alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from emi_model.predict import Scores
from emi_model.speed.gpu.rows import CheckRow, holds
from emi_model.speed.gpu.scores import MAX_FROM_ALONE, largest_difference
from emi_model.speed.gpu.stage import Stage, scores_of


def second_process(stage: Stage) -> Iterator[CheckRow]:
    """Score here until another process has scored the same clips."""
    predictor, passes = stage.predictor("fp32"), 0
    apart_here = 0.0
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(load_libraries).result()  # which takes longer than small passes
        other = pool.submit(score_in_passes, stage)
        while not other.done() or not passes:
            found = scores_of(predictor, stage.clips)
            apart_here = max(apart_here, largest_difference(found, stage.exact))
            passes += 1
        apart_there = largest_difference(other.result(), stage.exact)
    yield holds(
        "a second process on the same device, fp32, both scoring, largest difference",
        f"{apart_there:.2g} there, {apart_here:.2g} here in {passes} passes meanwhile",
        f"at most {MAX_FROM_ALONE:g}",
        max(apart_there, apart_here) <= MAX_FROM_ALONE,
    )


def load_libraries() -> None:
    """Do nothing: the process that finds this function has loaded this module."""


def score_in_passes(stage: Stage) -> list[Scores]:
    """Score the clips again and again; returns the last scores."""
    predictor = stage.predictor("fp32")
    for _ in range(stage.sizes.passes):
        found = scores_of(predictor, stage.clips)
    return found
