"""The inputs of labelled clips for a recipe, and the branches of features that a user gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from emi_model.modalities import FEATURES
from emi_model.training.recipes import Recipe
from tasks.corpus.listing import holds_features
from tasks.extraction.series.given import NO_FEATURES, Given, series_branches, series_settings
from tasks.labels.label_set import LabelSet
from tasks.labels.labelled_clips import LabelledAudio, load_labelled_audio
from tasks.progress import observer
from tasks.training.plan import Start, min_samples_of
from tasks.transcription.settings import settings_of_extractors


def given_or_clips(given: Mapping[str, Given], recipe: Recipe, corpus: str) -> dict[str, Given]:
    """Return features by modality; where none are given, the clips may be features themselves.

    Args:
        given: by modality.
        recipe: the clips are taken only for one that has a place for features.
        corpus: of the clips.
    """
    if given or FEATURES not in recipe.model.branches or not holds_features(corpus):
        return dict(given)
    return {FEATURES: Given(None)}


def with_features(recipe: Recipe, given: Mapping[str, Given], corpus: str) -> Recipe:
    """Return a recipe whose model takes features, too; they are optional.

    They come after its other branches. The place that the recipe ``features`` has for them goes; a
    branch of the same name keeps the arguments that the recipe gives it, such as a projection.

    Args:
        recipe: any.
        given: features by modality.
        corpus: whose clips are features themselves, where a path is None.

    Raises:
        EmiError: as `tasks.extraction.series.given.series_branches`.
    """
    if not given:
        return recipe
    branches = {
        name: dict(arguments)
        for name, arguments in recipe.model.branches.items()
        if name != FEATURES or name in given
    }
    for name, found in series_branches(given, corpus).items():
        branches[name] = {**branches.get(name, {}), **found}
    return replace(recipe, model=replace(recipe.model, branches=branches))


def widened_by(given: Mapping[str, Given], corpus: str) -> Callable[[Recipe], Recipe]:
    """Return a function that returns a recipe with these features, or with those of the clips."""

    def widened(recipe: Recipe) -> Recipe:
        return with_features(recipe, given_or_clips(given, recipe, corpus), corpus)

    return widened


def load_for_recipe(
    recipe: Recipe,
    labels: LabelSet,
    corpus: str,
    splits: tuple[str, ...],
    asr: str | None = None,
    language: str | None = None,
    start: Start | None = None,
    *,
    features: Mapping[str, Given] = NO_FEATURES,
) -> LabelledAudio:
    """Return clips of some splits that are long enough for a recipe's model; cache their inputs.

    Args:
        recipe: what is trained.
        labels: which clips.
        corpus: where they lie.
        splits: those to take.
        asr: ASR model of a model that reads text.
        language: that is spoken; None: it is detected.
        start: the model to begin with, if it is another than the recipe's.
        features: of other programs, by modality.

    Raises:
        ConfigError: the model reads text, and no ASR model is named, or takes other features.
    """
    options = {
        **settings_of_extractors(recipe.model.needs, asr, language),
        **series_settings(recipe.model, features, corpus),
    }
    observer().begin("extracting audio", None, "clips")
    return load_labelled_audio(
        labels,
        corpus,
        splits,
        min_samples=min_samples_of(recipe, start),
        needs=recipe.model.needs,
        options=options,
        on_progress=observer().reached,
    )
