"""Hume-Vidmimic2: the data of the EMI challenges (ABAW 6, 8 and 10)."""

from __future__ import annotations

from collections.abc import Iterator

from emi_model.targets import EMI_TARGETS
from tasks.datasets.clip_index import bare_name
from tasks.datasets.layout import DatasetClip
from tasks.datasets.tree import Tree
from tasks.labels.splits import TRAIN, VALID


def read_hume_vidmimic2(tree: Tree) -> Iterator[DatasetClip]:
    """Yield the clips of ``train_split.csv`` and ``valid_split.csv``, labels from 0 to 1.

    The test clips have no public labels; who is seen is not public either.
    """
    for split, name in ((TRAIN, "train_split.csv"), (VALID, "valid_split.csv")):
        for row in tree.table(name, f"*/{name}", columns=("Filename", *EMI_TARGETS)):
            yield DatasetClip(
                bare_name(row.text("Filename")),
                {target: row.scaled(target, 0, 1) for target in EMI_TARGETS},
                split=split,
            )
