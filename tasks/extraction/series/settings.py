"""Where a modality's features lie, and what a model takes of them. Light to import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SeriesSettings:
    """The settings of the extractor of one modality.

    Attributes:
        folder: of files of features, one a clip, absolute; None: the clips themselves are such.
        num_values: D of each entry (N, D).
        rate: entries a second that the model takes; None where they follow no time.
        array: name of the array in files that hold several; None: the only one.
        source: what the user named, without its folders, for a model's card.
    """

    folder: str | None
    num_values: int
    rate: float | None = None
    array: str | None = None
    source: str = ""
