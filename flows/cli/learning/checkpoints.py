"""`emi import-checkpoint`, `emi check-backbone`: published models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from flows.cli.exits import EXIT_DIFFERS
from flows.cli.options import LOCAL_PATH, LOCATION
from flows.display.text import say


@click.command("import-checkpoint")
@click.argument("authors", type=LOCAL_PATH, metavar="AUTHORS.pth")
@click.option(
    "--backbone",
    required=True,
    type=LOCAL_PATH,
    metavar="DIR",
    help="Folder whose config.json describes the backbone.",
)
@click.option("--out", required=True, type=LOCAL_PATH, metavar="DIR", help="New model folder.")
@click.option(
    "--text-encoder",
    type=LOCAL_PATH,
    metavar="DIR",
    help="2025: folder with the text encoder's config.json and tokenizer.json.",
)
@click.option(
    "--vision-encoder",
    type=LOCATION,
    metavar="REF",
    help="2025: the frozen picture encoder, folder or hub id: it is not in the file.",
)
@click.option(
    "--read-out",
    type=click.Choice(["exact", "authors"]),
    default="exact",
    show_default=True,
    help="2025: mask padding and read the last frame, or do as the authors' code.",
)
@click.option(
    "--longest-seconds",
    type=click.FloatRange(0, 12, min_open=True),
    help="With --read-out authors: how long the longest clip of their batch lasts (default: 12).",
)
@click.option("--licence", help="Licence of the backbone (default: the one named in its folder).")
def import_checkpoint(authors: Path, backbone: Path, out: Path, **options: Any) -> None:
    """Convert the state dict that the authors' code saves to a model folder.

    It is that of 2024, which hears, or of Semantic Matters (2025), which also reads and sees.
    """
    from emi_model.checkpoints.checkpoint import save_checkpoint
    from emi_model.checkpoints.layouts.semantic_matters import load_imported
    from emi_model.errors import CheckpointError

    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise CheckpointError(f"{out}: exists and is not empty: choose another folder")

    model, card = load_imported(authors, backbone, **options)
    save_checkpoint(out, model, card)
    say(f"{out}: {len(card.targets)} targets, licences {card.licences}")


@click.command("check-backbone")
@click.argument("reference", type=LOCATION, metavar="REF")
def check_backbone(reference: str) -> None:
    """Say what REF is; where it has a VAD head, run the public VAD model's reference.

    REF is a backbone, or an encoder of text or faces for `emi train`. The reference is one second
    of zeros, and the values of the model's card.
    """
    from emi_model.checkpoints.encoders import encoder_facts
    from emi_model.checkpoints.pretrained import load_backbone
    from emi_model.reference import check_backbone as check
    from emi_model.targets import VAD_DIMENSIONS
    from flows.display.tables import plain_table, show
    from tasks.registry.registry import resolve_model

    where = resolve_model(reference)
    facts = encoder_facts(where)
    if facts is not None:
        show(plain_table(["what", "value"], list(facts.items())), sys.stdout)
        return
    backbone = load_backbone(where)
    found_facts = {
        "family": backbone.family,
        "layers": backbone.num_layers,
        "seconds a frame": backbone.hop_seconds,
        "licence": backbone.licence,
        "VAD head": "yes" if backbone.head else "no",
    }
    show(plain_table(["backbone", backbone.name], found_facts.items()), sys.stdout)
    if not backbone.head:
        return
    found = check(where)
    rows = zip(VAD_DIMENSIONS, found.expected, found.found, strict=True)
    show(plain_table(["dimension", "expected", "found"], rows), sys.stdout)
    say("agrees within 0.001" if found.passed else "differs by more than 0.001")
    if not found.passed:
        sys.exit(EXIT_DIFFERS)
