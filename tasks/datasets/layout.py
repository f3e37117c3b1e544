"""What is known of a published layout, and what its reader gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.datasets.tree import Tree

RATED_VALENCE, RATED_AROUSAL = "Rated Valence", "Rated Arousal"
RATED_DOMINANCE = "Rated Dominance"
"""Targets of data sets that rate dimensions. Without "Rated" these would be the columns of the VAD
head, which gets the same numbers beside them."""


@dataclass(frozen=True)
class DatasetClip:
    """One labelled clip, as a data set names it.

    Attributes:
        name: the media file's name without folders and suffix.
        values: labels in [0, 1] by target; also ``arousal``, ``dominance``, ``valence`` where they
            are rated. None where nobody rated.
        speaker: who speaks; empty if the data set does not say.
        split: ``train``, ``valid`` or ``test`` where the data set says; else empty, to be drawn.
        group: what stays in one split when it is drawn, if that is more than the speaker.
        num_raters: of whom the labels are shares; None where they are none.
        within: folders of which one is on the way to the media file; empty: any.
        seconds: first second and the one after the last, of a window to be cut; None: all of it.
    """

    name: str
    values: Mapping[str, float | None]
    speaker: str = ""
    split: str = ""
    group: str = ""
    num_raters: int | None = None
    within: tuple[str, ...] = ()
    seconds: tuple[int, int] | None = None


@dataclass(frozen=True)
class Layout:
    """A published data set and its reader.

    Attributes:
        name: what the command calls it.
        title: what its authors call it.
        targets: names of the targets, in their order.
        files: what must be in the folder, in words.
        ask: where to ask for the data.
        split: where the splits come from, in words.
        read: yields the labelled clips of a tree.
        prefer: suffixes of media, the first is taken where several files have a clip's name.
        over_time: whether its clips are windows.
    """

    name: str
    title: str
    targets: tuple[str, ...]
    files: str
    ask: str
    split: str
    read: Callable[[Tree], Iterable[DatasetClip]]
    prefer: tuple[str, ...] = ()
    over_time: bool = False


def dimensions(
    *, arousal: float | None, valence: float | None, dominance: float | None = None
) -> dict[str, float | None]:
    """Return rated dimensions in [0, 1] by target, and the same for the VAD head."""
    return {
        RATED_AROUSAL: arousal,
        RATED_DOMINANCE: dominance,
        RATED_VALENCE: valence,
        "arousal": arousal,
        "dominance": dominance,
        "valence": valence,
    }


def one_of(targets: Iterable[str], named: str) -> dict[str, float | None]:
    """Return 1 for the class that was named, 0 for each other."""
    return {target: float(target == named) for target in targets}
