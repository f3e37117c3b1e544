"""One version of a registered model: its references, and the facts that the registry has of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from emi_model.errors import ModelNotFound

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

MODEL = "emi"
CHAMPION = "champion"
MODEL_SCHEME = "models:"

NAME = re.compile(r"[\w.-]+")
_REFERENCE = re.compile(
    rf"{MODEL_SCHEME}/(?P<name>{NAME.pattern})(?:/(?P<number>[0-9]+)|@(?P<alias>[\w-]+))"
)

METRIC_TAGS = ("mean_pearson", "mean_pearson_low", "mean_pearson_high")
FACTS = ("sha256", "recipe", "snapshot", "split_sha256", "licence")


@dataclass(frozen=True)
class Version:
    """A registered version.

    Attributes:
        name: of the model.
        number: from 1.
        aliases: ``champion``, and others that someone set.
        source: URI of the folder with its files.
        run_id: the MLflow run that made it.
        registered_at: UTC.
        tags: `FACTS`, `METRIC_TAGS` (mean Pearson on the validation clips, and its 95 % interval),
            and others; an unknown fact has no tag.
    """

    name: str
    number: int
    aliases: tuple[str, ...]
    source: str
    run_id: str | None
    registered_at: datetime
    tags: Mapping[str, str]

    def __str__(self) -> str:
        """Return the number, and the aliases in brackets."""
        return f"{self.number} ({', '.join(self.aliases)})" if self.aliases else str(self.number)

    @property
    def reference(self) -> str:
        """Return the reference to this version, which no promotion changes."""
        return f"{MODEL_SCHEME}/{self.name}/{self.number}"

    @property
    def sha256(self) -> str | None:
        """Return the hash of the model, hex."""
        return self.tags.get("sha256")

    def row(self) -> dict[str, Any]:
        """Return a row of plain values; None for unknown facts."""
        return {
            "name": self.name,
            "version": self.number,
            "aliases": list(self.aliases),
            **{fact: self.tags.get(fact) for fact in FACTS},
            **{figure: _number(self.tags.get(figure)) for figure in METRIC_TAGS},
            "registered_at": self.registered_at,
            "run_id": self.run_id,
            "source": self.source,
        }


def version_of(found: ModelVersion, aliases: Mapping[str, int | str]) -> Version:
    """Return MLflow's record as a `Version`; ``aliases`` maps the model's to version numbers."""
    number = int(found.version)
    return Version(
        name=found.name,
        number=number,
        aliases=tuple(sorted(alias for alias, of in aliases.items() if int(of) == number)),
        source=str(found.source),
        run_id=found.run_id or None,
        registered_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        tags=dict(found.tags),
    )


def parse_reference(reference: str, name: str = MODEL) -> tuple[str, int | None, str | None]:
    """Return the parts of a reference: the model's name, and a version's number or an alias.

    Args:
        reference: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``, an alias, or a number.
        name: the model that an alias or a number is of.

    Raises:
        ModelNotFound: it is none of these.
    """
    if not reference.startswith(MODEL_SCHEME):
        reference = f"{MODEL_SCHEME}/{name}{'/' if reference.isdecimal() else '@'}{reference}"
    parsed = _REFERENCE.fullmatch(reference)
    if parsed is None:
        raise ModelNotFound(
            f"{reference}: found no model reference, expected {MODEL_SCHEME}/NAME@ALIAS or "
            f"{MODEL_SCHEME}/NAME/VERSION, as in {MODEL_SCHEME}/{MODEL}@{CHAMPION}"
        )
    number = parsed["number"]
    return parsed["name"], int(number) if number else None, parsed["alias"]


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
