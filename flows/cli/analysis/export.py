"""`emi export`: clips of a store in the formats of other tools."""

from __future__ import annotations

import click

from flows.cli.options import LOCATION, RESULTS_VARIABLE, json_option
from flows.cli.run import write_json
from flows.display.terminal import message, terminal
from flows.display.text import say


@click.command()
@click.argument("form", required=False)
@click.option(
    "--results",
    type=LOCATION,
    envvar=RESULTS_VARIABLE,
    metavar="DIR",
    help="Results store: a folder, or s3://BUCKET/NAME (default: EMI_RESULTS).",
)
@click.option(
    "--out",
    type=LOCATION,
    metavar="PATH",
    help="The file, or the new or empty folder, that the form is; or s3://...",
)
@click.option(
    "--where",
    multiple=True,
    metavar="SQL",
    help="Only clips that fit: a condition on the columns of the view clips; may be repeated.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N of these clips."
)
@click.option(
    "--media-url",
    metavar="PREFIX",
    help="label-studio: what stands before the clip's path in the address of its media (default: "
    "'/data/local-files/?d=').",
)
@json_option
def export(
    form: str | None,
    results: str | None,
    out: str | None,
    where: tuple[str, ...],
    limit: int | None,
    media_url: str | None,
    as_json: bool,
) -> None:
    """Write clips in the FORM of another tool, whole or not at all; without FORM list the forms.

    \b
    emi export                                   # what there is
    emi export excel --results DIR --out clips.csv
    emi export eaf --results DIR --out elan --where "joy > 0.7" --where "duration_seconds > 3"

    Beside it is provenance.json: models, licences, what was left out and why.
    """
    if form is None:
        _list_forms(as_json)
        return
    for value, option in ((results, f"'--results' (or {RESULTS_VARIABLE})"), (out, "'--out'")):
        if not value:
            raise click.UsageError(f"Missing option {option}.")
    from flows.display.tables import ProgressBar
    from tasks.exports.export import Chosen, write_export
    from tasks.progress import observed_by

    with ProgressBar(terminal().err) as bar, observed_by(bar):
        done = write_export(
            form, str(results), str(out), Chosen(where, limit=limit, media_url=media_url)
        )
    for why, number in done.left_out.items():
        message(f"left out {number} of {done.num_chosen} clips: {why}")
    for note in done.notes:
        message(note)
    if as_json:
        facts = {"form": form, "out": done.place, "clips": done.num_clips}
        write_json([facts | {"chosen": done.num_chosen, "left_out": dict(done.left_out)}])
        return
    say(f"{done.num_clips} clips in {done.place}")


def _list_forms(as_json: bool) -> None:
    from flows.display.tables import plain_table, show
    from tasks.exports.registry import FORMS

    if as_json:
        write_json(
            {"name": form.name, "is": "folder" if form.is_folder else f"file {form.suffix}",
             "description": form.sentence}
            for form in FORMS.values()
        )  # fmt: skip
        return
    rows = [
        (form.name, "folder" if form.is_folder else form.suffix, form.sentence)
        for form in FORMS.values()
    ]
    show(plain_table(["form", "--out is", "what it is"], rows), terminal().out)
