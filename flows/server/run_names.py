"""Names of flow runs for the UI: their input, and the model.

Prefect may name a run that a server starts before it fills in the flow's own defaults.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from tasks.registry.version import MODEL, MODEL_SCHEME
from tasks.storage.open import is_remote


def scored() -> str:
    """Return a name such as ``clips with emi@champion``."""
    given = _parameters()
    return f"{_place(given['source'])} with {_model(given['model'])}"


def transcribed() -> str:
    """Return a name such as ``clips transcribed``."""
    return f"{_place(_parameters()['source'])} transcribed"


def evaluated() -> str:
    """Return a name such as ``emi@champion on labels``."""
    given = _parameters()
    return f"{_model(given['model'])} on {_place(given['labels'])}"


def trained() -> str:
    """Return a name such as ``emi on labels``."""
    given = _parameters()
    return f"{given.get('name', MODEL)} on {_place(given['labels'])}"


def ablated() -> str:
    """Return a name such as ``ablation on labels``."""
    return f"ablation on {_place(_parameters()['labels'])}"


def compared() -> str:
    """Return a name such as ``comparison on labels``."""
    return f"comparison on {_place(_parameters()['labels'])}"


def watched() -> str:
    """Return a name such as ``clips and inbox``."""
    given = _parameters()
    places = [given["corpus"] if given.get("results") else None, given.get("label_inbox")]
    return " and ".join(_place(place) for place in places if place) or "nothing"


def _parameters() -> dict[str, Any]:
    from prefect.runtime import flow_run

    return flow_run.parameters or {}


def _place(reference: str) -> str:
    """Return the last part of a path or URI."""
    return PurePath(reference.rstrip("/")).name or reference


def _model(reference: str) -> str:
    """Return a short name of a model: ``emi@champion``, ``emi/3``, a folder's name, a hub id."""
    if reference.startswith(MODEL_SCHEME):
        return reference.removeprefix(MODEL_SCHEME).strip("/")
    is_folder = is_remote(reference) or reference.startswith(("/", ".", "~"))
    return _place(reference) if is_folder else reference
