"""Made-up folders in the layouts of published data sets, and what is read from them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from tasks.datasets.importing import Wanted, import_labels
from tasks.labels.label_set import load_labels


def write_tree(root: Path, texts: Mapping[str, str], media: Iterable[str] = ()) -> Path:
    """Write files of text, and media files whose bytes are their names; returns the root."""
    for name, content in (*texts.items(), *((name, name) for name in media)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


def table_of(layout: str, root: Path, **options: object) -> list[dict[str, str]]:
    """Return the label table of a folder, as a file of it says it; the store is left alone."""
    path = root.parent / "table.csv"
    import_labels(layout, root, write=path, wanted=Wanted(**options))
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def stored(layout: str, root: Path, **options: object):
    """Put a folder's labels into a store; returns them by clip id, and what importing says."""
    store = root.parent / "store"
    found = import_labels(layout, root, results=str(store), wanted=Wanted(**options))
    return {clip.clip_id: clip for clip in load_labels(store).clips}, found
