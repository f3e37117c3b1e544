"""The label table that a reader's clips become: media found, splits drawn, CSV written."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO

from emi_model.errors import ConfigError
from emi_model.targets import VAD_DIMENSIONS, column_name
from tasks.datasets.layout import DatasetClip
from tasks.datasets.media import window_name
from tasks.datasets.tree import Tree
from tasks.labels.label_columns import FILENAME, NUM_RATERS, SPEAKER, SPLIT
from tasks.labels.splits import Placed, Shares, assign_splits

_MAX_NAMED = 3
_DECIMALS = 6


@dataclass(frozen=True)
class TableClip:
    """A row of the label table.

    Attributes:
        filename: the clip, as the table names it.
        source: clip id of the media file that it is, or is cut from; empty where only labels are
            wanted.
        labelled: what the reader says of it.
    """

    filename: str
    source: str
    labelled: DatasetClip


def with_media(
    tree: Tree, labelled: Iterable[DatasetClip], *, allow_missing: bool
) -> list[TableClip]:
    """Return the rows of clips whose media are there; without any media, of all.

    Args:
        tree: the folder; a note is added for what is left out.
        labelled: as the reader yields them.
        allow_missing: leave out what has no media file.

    Raises:
        LabelError: a media file is missing, several have one name, or no clip is left.
    """
    found, missing = [], []
    for clip in labelled:
        source = tree.clips.find(clip.name, clip.within) if tree.clips.clip_ids else ""
        if source is None:
            missing.append("/".join((*clip.within[:1], clip.name)))
        else:
            found.append(TableClip(_filename(clip, source), source, clip))
    if missing and (not allow_missing or not found):
        words = f"no media file for {_named(missing)} of {len(found) + len(missing)} labelled clips"
        advice = "" if not found else " (--allow-missing leaves them out)"
        raise tree.refused(words + advice)
    if not found:
        raise tree.refused("no labelled clip")
    if missing:
        tree.notes.append(f"left out {_named(missing)}: their media files are missing")
    return found


def _filename(clip: DatasetClip, source: str) -> str:
    if clip.seconds is not None:
        return window_name(clip.name, *clip.seconds)
    return source or "/".join((*clip.within[:1], clip.name))


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMED
    shown = ", ".join(names[:_MAX_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def with_splits(
    tree: Tree,
    rows: Sequence[TableClip],
    shares: Shares,
    seed: int,
    kept: Mapping[str, str],
) -> list[TableClip]:
    """Return rows with the splits of groups drawn, and speakers that stand in one split each.

    The store draws the splits of single speakers; it knows nothing of groups. It refuses a speaker
    in two splits: where the data set itself has one in several, its name gets the split's.

    Args:
        tree: a note is added for what was drawn or renamed.
        rows: of the table.
        shares: of the splits.
        seed: of the drawing.
        kept: splits that clips have in the store, by clip id; their groups are not drawn again.
    """
    grouped = [
        Placed(row.filename, row.labelled.group, None, _known_split(row, kept), line)
        for line, row in enumerate(rows, start=1)
        if row.labelled.group
    ]
    drawn, _ = assign_splits(grouped, [], shares, seed)
    if grouped:
        groups = sorted({(drawn[clip.clip_id], clip.speaker) for clip in grouped})
        shown = ", ".join(f"{group} {split}" for split, group in groups)
        tree.notes.append(f"drawn whole: {shown}")
    rows = [_in_split(row, drawn.get(row.filename, row.labelled.split)) for row in rows]
    return list(_apart(tree, rows))


def _known_split(row: TableClip, kept: Mapping[str, str]) -> str:
    return row.labelled.split or kept.get(row.filename, "")


def _in_split(row: TableClip, split: str) -> TableClip:
    return replace(row, labelled=replace(row.labelled, split=split))


def _apart(tree: Tree, rows: Sequence[TableClip]) -> Iterator[TableClip]:
    splits = defaultdict(set)
    for row in rows:
        if row.labelled.speaker and row.labelled.split:
            splits[row.labelled.speaker].add(row.labelled.split)
    several = sorted(speaker for speaker, found in splits.items() if len(found) > 1)
    if several:
        tree.notes.append(
            f"the official splits share {len(several)} speakers ({_named(several)}): models are "
            "judged by voices that they were trained on; each split counts them as its own"
        )
    for row in rows:
        speaker, split = row.labelled.speaker, row.labelled.split
        if speaker in several and split:
            row = replace(row, labelled=replace(row.labelled, speaker=f"{speaker} ({split})"))
        yield row


def chosen_targets(tree: Tree, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the targets of the table: those that were named, else all of the layout.

    One that the data set lacks has an empty column, so that several data sets can share a store.

    Args:
        tree: a note is added for targets that it lacks.
        wanted: as the caller spells them.

    Raises:
        ConfigError: the data set has none of them.
    """
    if not wanted:
        return tree.layout.targets
    own = {column_name(target) for target in tree.layout.targets}
    lacking = [target for target in wanted if column_name(target) not in own]
    if len(lacking) == len(wanted):
        raise ConfigError(
            f"{tree.layout.title} has no target {_named(lacking)}, expected some of "
            f"{', '.join(tree.layout.targets)}"
        )
    if lacking:
        tree.notes.append(f"{tree.layout.title} has no {_named(lacking)}: left empty")
    return tuple(wanted)


def write_label_table(file: IO[str], rows: Sequence[TableClip], targets: Sequence[str]) -> None:
    """Write rows as the CSV that `emi labels add` takes.

    Args:
        file: open for text.
        rows: of the table.
        targets: its columns of labels, in their order.
    """
    vad = (
        VAD_DIMENSIONS
        if any(set(VAD_DIMENSIONS) & set(one.labelled.values) for one in rows)
        else ()
    )
    counted = any(row.labelled.num_raters is not None for row in rows)
    raters = (NUM_RATERS,) if counted else ()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([FILENAME, SPEAKER, SPLIT, *raters, *targets, *vad])
    for row in rows:
        clip = row.labelled
        values = {column_name(target): value for target, value in clip.values.items()}
        labels = [values.get(column_name(target)) for target in (*targets, *vad)]
        counts = [clip.num_raters if clip.num_raters is not None else ""] * counted
        cells = ["" if value is None else f"{round(value, _DECIMALS):g}" for value in labels]
        writer.writerow([row.filename, clip.speaker, clip.split, *counts, *cells])
