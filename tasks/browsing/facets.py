"""Facets: columns of few values by which the list is narrowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.browsing.snapshot import LISTED, OWN_PREFIX, ListSnapshot
from tasks.reports.page import titled
from tasks.store.queries.quoting import quoted_name

MAX_OWN_VALUES = 40
"""A column of the study's own metadata with more values is no facet."""


@dataclass(frozen=True)
class Facet:
    """A column by which the list is narrowed.

    Attributes:
        key: its name in the address.
        title: its heading.
        column: in the table.
        is_list: a row holds several of its values.
        nothing: what stands for a value that is not there.
        words: column that says the value in words; empty: the value itself.
    """

    key: str
    title: str
    column: str
    is_list: bool = False
    nothing: str = "none"
    words: str = ""

    @property
    def value(self) -> str:
        """SQL of a row's value as the address has it: text, empty where there is none."""
        column = quoted_name(self.column)
        if self.is_list:
            return f"unnest(CASE len({column}) WHEN 0 THEN [''] ELSE {column} END)"
        return f"coalesce({column}::VARCHAR, '')"

    @property
    def condition(self) -> str:
        """SQL of the condition that a row has one of the values in place of ``?``, a list."""
        if self.is_list:
            column = quoted_name(self.column)
            return (
                f"list_has_any(CASE len({column}) WHEN 0 THEN [''] ELSE {column} END, ?::VARCHAR[])"
            )
        return f"list_contains(?::VARCHAR[], {self.value})"


STANDING = "standing"
CURRENT = "current"
MODELS = ("model", "coverage")
"""Facets over which the list shows rows that are not current, too."""

_FACETS = (
    Facet("status", "Status", "status"),
    Facet("reason", "Why rejected", "reason", nothing="not rejected"),
    Facet("flags", "Warnings", "flags", is_list=True, nothing="no warning"),
    Facet("labelled", "Labelled", "labelled"),
    Facet("split", "Split of the labels", "label_split", nothing="no label"),
    Facet("training", "Used in training", "training_split", nothing="not used"),
    Facet("transcript", "Transcript", "transcribed"),
    Facet("language", "Language", "language", nothing="unknown"),
    Facet("model", "Model", "model_sha256", words="model_named"),
    Facet("coverage", "Coverage", "coverage"),
    Facet(STANDING, "Rows", "standing"),
    Facet("folder", "Folder", "folder"),
    Facet("speaker", "Speaker", "speaker", nothing="unknown"),
    Facet("codec", "Codec", "codec", nothing="unknown"),
)


def facets_of(snapshot: ListSnapshot) -> Mapping[str, Facet]:
    """Return the facets of a store by key: those of any store, then its own metadata."""
    found = {facet.key: facet for facet in _FACETS if facet.column in snapshot.columns.every}
    own = snapshot.columns.own
    if own:
        counts = ", ".join(f"count(DISTINCT {quoted_name(name)})" for name in own)
        (row,) = snapshot.rows(f"SELECT {counts} FROM {LISTED}")
        for name, number in zip(own, row.values(), strict=True):
            if 0 < number <= MAX_OWN_VALUES:
                found[name] = Facet(name, titled(name.removeprefix(OWN_PREFIX)), name)
    return found
