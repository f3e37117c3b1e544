"""What goes along with an export: where it comes from, its licence, what it may be used for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from emi_model.checkpoints.card import LIMITS, UNKNOWN
from tasks.exports.selection import Selection
from tasks.provenance import code_version

ORIGIN_FILE = "provenance.json"
"""In a folder, the file that is written last; beside a file its name goes before this."""

_OF_MODEL = ("model", "model_sha256", "coverage", "licence")


def origin(selection: Selection, form: str) -> dict[str, Any]:
    """Return where an export comes from, as JSON has it.

    Args:
        selection: the clips.
        form: name of the export's form.
    """
    made_by: Counter[tuple[str, ...]] = Counter()
    rejected: Counter[str] = Counter()
    for kind in selection.kinds:
        licence = kind["backbone_licence"] or UNKNOWN
        model = (kind["model"], kind["model_sha256"], kind["coverage"], licence)
        made_by[model] += kind["clips"]
        if kind["reason"] is not None:
            rejected[kind["reason"]] += kind["clips"]
    return {
        "made_by": f"emi export {form}",
        "version": code_version(),
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "where": list(selection.where),
        "limit": selection.limit,
        "clips": selection.num_clips,
        "scored": selection.num_clips - rejected.total(),
        "rejected": dict(rejected.most_common()),
        "models": [
            dict(zip(_OF_MODEL, model, strict=True)) | {"clips": clips}
            for model, clips in made_by.most_common()
        ],
        "transcripts": list(selection.words),
        "limits": LIMITS,
    }


def licences(facts: Mapping[str, Any]) -> str:
    """Return the licences of the weights behind the scores, as one text."""
    return ", ".join(dict.fromkeys(model["licence"] for model in facts["models"]))


def models(facts: Mapping[str, Any]) -> str:
    """Return the models behind the scores, each with the beginning of its hash, as one text."""
    return ", ".join(f"{model['model']} {model['model_sha256'][:12]}" for model in facts["models"])


def as_json(facts: Mapping[str, Any]) -> str:
    """Return facts as a JSON text of several lines."""
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
