"""BioVid Heat Pain, part A: faces and signals of people whose arm is heated."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tasks.datasets.layout import DatasetClip
from tasks.datasets.tree import Tree

PAIN = ("Pain",)
ALL_LEVELS = (0, 1, 2, 3, 4)
BASELINE_AND_TOLERANCE = (0, 4)
"""BL1 and PA4, the two classes of most published figures."""


def read_biovid(tree: Tree, levels: Collection[int] = ALL_LEVELS) -> Iterator[DatasetClip]:
    """Yield the samples of ``samples.csv``, pain from 0 (BL1) to 1 (PA4) in quarters.

    Args:
        tree: the folder.
        levels: of the pain, ``class_id``; samples of others are left out.

    Raises:
        LabelError: the table is missing or holds another class.
    """
    columns = ("subject_name", "class_id", "sample_name")
    patterns = ("samples.csv", "*/samples.csv", "*/*/samples.csv")
    for row in tree.table(*patterns, columns=columns):
        share = row.scaled("class_id", 0, 4)
        if share is not None and share * 4 in levels:
            yield DatasetClip(
                row.text("sample_name"), {PAIN[0]: share}, speaker=row.text("subject_name")
            )
