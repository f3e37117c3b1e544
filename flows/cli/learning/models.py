"""`emi models`: the registered versions of a model, and which of them is the champion."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.options import LOCAL_PATH, LOCATION, json_option, name_option
from flows.cli.run import write_json
from flows.display.terminal import message
from flows.display.text import say
from flows.server.events import model_promoted

if TYPE_CHECKING:
    from tasks.registry.version import Version

SHORT = 12
"""Characters of a hash that a list shows: enough to tell two apart."""

_reference = click.argument("reference", type=LOCATION, metavar="REF")


@click.group()
def models() -> None:
    """List the trained models that are registered, and choose the champion.

    REF is a version's number, `champion`, or models:/NAME/VERSION or models:/NAME@champion as every
    --model takes it.
    """


@models.command("list")
@name_option
@json_option
def list_models(name: str, as_json: bool) -> None:
    """List the versions, oldest first."""
    from tasks.registry.registry import describe_registered, list_versions

    versions = list_versions(name)
    if as_json:
        write_json(version.row() for version in versions)
    elif versions:
        _show_list(versions)
    else:
        message(describe_registered(name, versions))


@models.command("show")
@_reference
@name_option
@click.option(
    "--plots",
    type=LOCAL_PATH,
    metavar="DIR",
    help="Folder for the pictures (default: plots/NAME-VERSION below EMI_HOME).",
)
@json_option
def show_model(reference: str, name: str, plots: Path | None, as_json: bool) -> None:
    """Show everything that the registry has on a version, and the course of its training.

    The pictures of the training, its curves among them, are copied to --plots.
    """
    from flows.display.tables import plain_table, show
    from tasks.home import home
    from tasks.registry.registry import find

    version = find(reference, name)
    if as_json:
        write_json([version.row()])
        return
    row = version.row()
    facts = {
        **row,
        "aliases": ", ".join(version.aliases) or None,
        "mean_pearson": _with_interval(row),
        "registered_at": f"{version.registered_at:%Y-%m-%d %H:%M:%S} UTC",
        "source_run": row["run_id"],
    }
    for shown_elsewhere in ("mean_pearson_low", "mean_pearson_high", "run_id"):
        del facts[shown_elsewhere]
    show(plain_table(["what", "value"], facts.items()), sys.stdout)
    if row["run_id"]:
        _show_course(row["run_id"], plots or home() / "plots" / f"{version.name}-{version.number}")


def _show_course(run_id: str, folder: Path) -> None:
    from flows.display.tables import plain_table, show
    from flows.display.text import say
    from tasks.registry.course import copy_pictures, course_of

    course = course_of(run_id)
    if course.parameters:
        show(plain_table(["parameter", "value"], course.parameters.items()), sys.stdout)
    if course.epochs:
        rows = [
            (epoch, loss, None if rate is None else f"{rate:.2g}", pearson)
            for epoch, (loss, rate, pearson) in course.epochs.items()
        ]
        columns = ["epoch", "training loss", "learning rate", "mean Pearson (valid)"]
        show(plain_table(columns, rows), sys.stdout)
    for picture in copy_pictures(run_id, folder):
        say(f"picture: {picture}", sys.stdout)


@models.command()
@_reference
@name_option
def promote(reference: str, name: str) -> None:
    """Make a version the champion; it must exist and load."""
    from tasks.registry.champion import promote
    from tasks.registry.registry import find

    version = find(reference, name)
    _report_champion(promote(version.name, version.number))


@models.command()
@name_option
def rollback(name: str) -> None:
    """Make the champion before this one the champion again; once more goes further back."""
    from tasks.registry.champion import rollback

    _report_champion(rollback(name))


@models.command()
@_reference
@click.argument("folder", type=LOCAL_PATH, metavar="DIR")
@name_option
def export(reference: str, folder: Path, name: str) -> None:
    """Copy the files of a version to DIR, which is new or empty."""
    from tasks.registry.registry import export

    version = export(reference, folder, name)
    say(f"{folder}: {version.reference}, {version.sha256}")


def _show_list(versions: list[Version]) -> None:
    from flows.display.tables import plain_table, show

    columns = ["version", "alias", "sha256", "recipe", "snapshot", "mean pearson", "licence"]
    rows = []
    for version in versions:
        row = version.row()
        rows.append(
            [
                version.number,
                ", ".join(version.aliases),
                (row["sha256"] or "")[:SHORT],
                row["recipe"],
                (row["snapshot"] or "")[:SHORT],
                _with_interval(row),
                row["licence"],
                f"{version.registered_at:%Y-%m-%d %H:%M}",
            ]
        )
    show(plain_table([*columns, "registered (UTC)"], rows), sys.stdout)


def _with_interval(row: dict[str, Any]) -> str | None:
    from flows.display.numbers import format_interval

    mean, low, high = (row[f"mean_pearson{end}"] for end in ("", "_low", "_high"))
    return None if mean is None else format_interval(mean, low, high)


def _report_champion(version: Version) -> None:
    say(f"{version.name}: version {version.number} is the champion, {version.sha256}")
    model_promoted(version)
