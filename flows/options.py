"""Options that several verbs of the `emi` command share."""

from __future__ import annotations

from pathlib import Path

import click

from emi_model.errors import ModelNotFound

NO_MODEL = (
    "no model named: `emi demo` trains a small one (demo/model); then --model FOLDER, "
    "--model OWNER/NAME of the hub, --model models:/emi@champion, or EMI_MODEL in the environment"
)

model_option = click.option(
    "--model",
    "model",
    envvar="EMI_MODEL",
    metavar="REF",
    help="Model folder, hub id, or models:/NAME@champion (default: EMI_MODEL).",
)
labels_option = click.option(
    "--labels",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Results store with the labels (`emi labels add`).",
)
corpus_option = click.option(
    "--corpus", required=True, metavar="DIR", help="Folder or manifest of the clips."
)
snapshot_option = click.option(
    "--snapshot", metavar="ID", help="Label snapshot, by number or id (default: the latest)."
)
recipe_option = click.option(
    "--recipe",
    default="paper",
    show_default=True,
    metavar="NAME",
    help="Recipe, with variants: paper, paper_small+ccc, ... (`emi recipes` lists them).",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a line on stdout."
)


def named(model: str | None) -> str:
    """Return what loads the model that was named: a folder, or an id of the hub.

    Raises:
        ModelNotFound: none was named, or the registry has no such version.
        RegistryError: the registry does not answer.
    """
    from tasks.registry import resolve_model

    if not model:
        raise ModelNotFound(NO_MODEL)
    return resolve_model(model)
