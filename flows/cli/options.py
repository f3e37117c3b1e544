"""Options that several verbs of the `emi` command share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from click.core import ParameterSource

from emi_model.architecture.config import Precision
from emi_model.errors import ModelNotFound

Verb = TypeVar("Verb", bound=Callable[..., Any])

RESULTS_VARIABLE = "EMI_RESULTS"

NO_MODEL = (
    "no model named: `emi demo` trains a small one (demo/model); then --model FOLDER, "
    "--model OWNER/NAME of the hub, --model models:/emi@champion, or EMI_MODEL in the environment"
)


class Location(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on
    """A folder, file or model reference; ``~`` is the home, which no shell expands after ``=``."""

    name = "location"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the location with the home in place of ``~`` or ``~NAME``."""
        from tasks.storage.open import check_scheme

        try:
            check_scheme(value)
        except OSError as error:
            self.fail(str(error), param, ctx)
        return str(Path(value).expanduser()) if value.startswith("~") else value


class LocalPath(click.Path):
    """A path on this machine, with the home in place of ``~``."""

    def __init__(self) -> None:
        """Take any path, there or not."""
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        return Path(os.fsdecode(super().convert(value, param, ctx))).expanduser()


LOCATION, LOCAL_PATH = Location(), LocalPath()

model_option = click.option(
    "--model",
    "model",
    type=LOCATION,
    envvar="EMI_MODEL",
    metavar="REF",
    help="Model folder (or s3://...), hub id, or models:/NAME@champion (default: EMI_MODEL).",
)
precision_option = click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default="auto",
    show_default=True,
    help="fp32 is exact, bf16 fast, int8 (CPU) faster and coarser; auto: bf16 where it pays.",
)
keep_text_option = click.option(
    "--no-text",
    "keep_text",
    flag_value=False,
    default=True,
    help="Keep language, counts and seconds, and not a word that was said.",
)
labels_option = click.option(
    "--results",
    "--labels",
    "labels",
    type=LOCATION,
    required=True,
    envvar=RESULTS_VARIABLE,
    metavar="DIR",
    help="Results store with the labels (`emi labels add`): a folder, or s3://...",
)
other_labels_option = click.option(
    "--labels",
    type=LOCATION,
    metavar="DIR",
    help="Store with the labels, if it is not that of --results.",
)
figures_option = click.option(
    "--results",
    type=LOCATION,
    envvar=RESULTS_VARIABLE,
    metavar="DIR",
    help="Results store with the labels; it keeps the figures too (default: EMI_RESULTS).",
)
corpus_option = click.option(
    "--corpus",
    type=LOCATION,
    required=True,
    metavar="DIR",
    help="Folder, s3://... or manifest of the clips.",
)
_share = click.FloatRange(min=0, max=1, max_open=True)
valid_share_option = click.option(
    "--valid-share",
    type=_share,
    default=0.2,
    show_default=True,
    help="Share of clips for validation, where no split is given.",
)
test_share_option = click.option(
    "--test-share",
    type=_share,
    default=0.0,
    show_default=True,
    help="Share of clips for testing, where no split is given.",
)
split_seed_option = click.option(
    "--seed", type=int, default=1, show_default=True, help="Random seed of the splits."
)
snapshot_option = click.option(
    "--snapshot", metavar="ID", help="Label snapshot, by number or id (default: the latest)."
)
recipe_option = click.option(
    "--recipe",
    default="paper",
    show_default=True,
    metavar="NAME",
    help="Recipe, with variants: paper, paper_small+ccc, ... (`emi recipes` lists them); or "
    "FILE.py:FUNCTION, a recipe of your own.",
)
asr_option = click.option(
    "--asr",
    type=LOCATION,
    metavar="REF",
    help="What turns speech into text, for a model that reads: a Whisper folder, a hub id, or a "
    "size as tiny.en (default: EMI_ASR).",
)
language_option = click.option(
    "--language",
    metavar="CODE",
    help="Language of the speech, as en (default: detected in each clip).",
)
features_option = click.option(
    "--features",
    multiple=True,
    metavar="NAME=PATH",
    callback=lambda _context, _option, named: list(named) or None,
    help="What other programs computed, a modality of this name: a folder of .npz or .npy, one a "
    "clip, or a table (Parquet, CSV) with a column clip_id. PATH@25: 25 entries a second.",
)
ray_option = click.option(
    "--ray-address",
    envvar="RAY_ADDRESS",
    metavar="HOST:PORT",
    help="Ray cluster to run on (default: RAY_ADDRESS, else this machine).",
)


def _set_wheel(context: click.Context, option: click.Parameter, wheel: str | None) -> None:
    """Set `EMI_WHEEL`, which the connection to a cluster reads: no flow has such a parameter."""
    if wheel:
        os.environ["EMI_WHEEL"] = wheel


def _set_few_clips(context: click.Context, option: click.Parameter, clips: int | None) -> None:
    """Set `EMI_FEW_CLIPS`, which a run reads: no flow has such a parameter."""
    if clips is not None:
        os.environ["EMI_FEW_CLIPS"] = str(clips)


wheel_option = click.option(
    "--wheel",
    type=LOCATION,
    metavar="FILE",
    expose_value=False,
    callback=_set_wheel,
    help="Wheel that brings this code to the cluster (default: EMI_WHEEL, or its nodes have it).",
)
few_clips_option = click.option(
    "--few-clips",
    type=click.IntRange(min=0),
    metavar="N",
    expose_value=False,
    callback=_set_few_clips,
    help="Up to N clips run in this process, without Ray, which takes some 10 s to start; 0: none "
    "do (default: EMI_FEW_CLIPS, or 256; with --workers, --ray-address and the like none).",
)
name_option = click.option(
    "--name", default="emi", show_default=True, metavar="NAME", help="Registered model."
)
gpus_option = click.option(
    "--gpus-per-scorer",
    type=click.FloatRange(min=0, min_open=True, max=1),
    metavar="SHARE",
    help="GPUs of each scoring process: by 0.5 two share one (default: 1).",
)
results_option = click.option(
    "--results",
    type=LOCATION,
    required=True,
    envvar=RESULTS_VARIABLE,
    metavar="DIR",
    help="Results store: a folder, or s3://BUCKET/NAME; gs:// and az:// likewise (default: "
    "EMI_RESULTS).",
)
coverage_option = click.option(
    "--coverage",
    type=click.Choice(["first", "full"]),
    default="first",
    show_default=True,
    help="Score the first 12 s of a clip, as the paper does, or every 12 s window of it.",
)
_why_option = click.option(
    "--why",
    "why",
    flag_value="all",
    help="Also say what each modality and each second adds to each score (about a pass of the "
    "audio a second).",
)
_why_modalities_option = click.option(
    "--why-modalities", "why", flag_value="modalities", help="The same of modalities alone: quick."
)


def why_options(verb: Verb) -> Verb:
    """Decorator: add --why and --why-modalities."""
    return _why_option(_why_modalities_option(verb))


strict_option = click.option("--strict", is_flag=True, help="Exit 3 if any clip is rejected.")
json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a line on stdout."
)


def stores_of(labels: str | None, results: str | None) -> tuple[str, str | None]:
    """Return the store of the labels, and that of the figures if it is another.

    Args:
        labels: as ``--labels`` gave it.
        results: as ``--results`` or EMI_RESULTS gave it; a named ``--labels`` counts for more than
            the environment.

    Raises:
        click.UsageError: neither was named.
    """
    if labels is None and results is None:
        raise click.UsageError(f"Missing option '--results' (or {RESULTS_VARIABLE}).")
    source = click.get_current_context().get_parameter_source("results")
    if labels is not None and source is ParameterSource.ENVIRONMENT:
        results = None
    return labels or results or "", results


def resolve_model_option(model: str | None) -> str:
    """Return the folder or hub id of the model that was named.

    Raises:
        ModelNotFound: none was named, or the registry has no such version.
        RegistryError: the registry does not answer.
    """
    from tasks.registry.registry import resolve_model

    return resolve_model(pin_model_option(model))


def pin_model_option(model: str | None) -> str:
    """Return the reference of the model that was named; of a registered one, by its number.

    Raises:
        ModelNotFound: none was named, or the registry has no such version.
        RegistryError: the registry does not answer.
    """
    from tasks.registry.registry import pin_model

    if not model:
        raise ModelNotFound(NO_MODEL)
    return pin_model(model)
