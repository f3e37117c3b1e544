"""A published folder becomes a snapshot of labels, or a label file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from emi_model.errors import ConfigError, CorpusError, ExportError, LabelError
from tasks.corpus.clips import ClipFile
from tasks.corpus.listing import list_clips
from tasks.datasets.clip_index import ClipIndex
from tasks.datasets.label_table import (
    TableClip,
    chosen_targets,
    with_media,
    with_splits,
    write_label_table,
)
from tasks.datasets.layout import DatasetClip, Layout
from tasks.datasets.media import WindowCut, cut_windows, facts_reader, file_on_disk
from tasks.datasets.registry import find_layout
from tasks.datasets.tree import DEFAULT_WINDOW_SECONDS, Tree
from tasks.labels.add_labels import AddReport, add_labels
from tasks.labels.label_set import merged
from tasks.labels.snapshots import read_snapshots
from tasks.labels.splits import Shares
from tasks.store.readers import holds_store
from tasks.store.store import open_store
from tasks.threads import Progress


@dataclass(frozen=True)
class Wanted:
    """How a folder is read.

    Attributes:
        allow_missing: leave out labelled clips without a media file.
        targets: of the table; default all that the layout has.
        shares: of splits that are drawn.
        seed: of the drawing.
        window_seconds: length of windows, where labels run over time.
        frame_rate: frames a second of such labels, where no media are there to say it.
    """

    allow_missing: bool = False
    targets: Sequence[str] = ()
    shares: Shares = field(default_factory=Shares)
    seed: int = 1
    window_seconds: int = DEFAULT_WINDOW_SECONDS
    frame_rate: float | None = None


@dataclass(frozen=True)
class Imported:
    """What became of a folder.

    Attributes:
        num_clips: rows of the label table.
        corpus: folder that holds the labelled clips.
        notes: what was left out, drawn or renamed.
        report: of the store; None where only a file was wanted.
    """

    num_clips: int
    corpus: str
    notes: tuple[str, ...]
    report: AddReport | None = None


def import_labels(
    layout: str,
    folder: Path,
    *,
    results: str | None = None,
    corpus: str | None = None,
    write: Path | None = None,
    cut: Path | None = None,
    wanted: Wanted | None = None,
    on_progress: Progress | None = None,
) -> Imported:
    """Read a published folder and keep its labels.

    Args:
        layout: its name, one of `tasks.datasets.registry.LAYOUTS`.
        folder: its root, on a disk.
        results: a results store that gets the labels; without one ``write`` is needed, and no media
            need be there.
        corpus: where the media are, if not below ``folder``, or if only some of them are meant.
        write: the label table as a CSV file.
        cut: folder for the windows of a layout whose labels run over time.
        wanted: how it is read.
        on_progress: called with windows cut, or clips hashed, and their total.

    Raises:
        ConfigError: no such layout, or options that do not go together.
        LabelError: something is missing, is not as the layout says, or does not fit the store.
        CorpusError: there are no media, though a store is to be filled or ``corpus`` is given.
        MediaToolError: ffmpeg cannot cut a recording.
        ExportError: ``write`` or ``cut`` cannot be written.
    """
    wanted = wanted or Wanted()
    known = find_layout(layout)
    _check(known, folder, results=results, write=write, cut=cut)
    media = corpus or str(folder)
    clips = _clips(media, needed=bool(results or cut or corpus))
    tree, rows = _rows(known, folder, clips, wanted, _kept_splits(results))
    targets = chosen_targets(tree, wanted.targets)
    holder = media if cut is None else str(cut)
    if cut is not None:
        cut_windows([_cut_of(row, clips, cut) for row in rows], on_progress)
    if write is not None:
        _write(write, rows, targets)
    report = None
    if results is not None:
        with TemporaryDirectory(prefix="emi-labels-") as aside:
            path = Path(aside, f"{known.name}.csv")  # the snapshot keeps its name
            _write(path, rows, targets)
            try:
                report = add_labels(
                    results,
                    path,
                    holder,
                    shares=wanted.shares,
                    seed=wanted.seed,
                    targets=targets,
                    on_progress=on_progress,
                )
            except LabelError as error:
                table = f"table of {folder} (--write FILE.csv writes it)"
                words = str(error).replace(f"label file {path}", table)
                raise LabelError(words) from error
    return Imported(len(rows), holder, tuple(tree.notes), report)


def _kept_splits(results: str | None) -> Mapping[str, str]:
    """Return the splits that a store's clips have, by clip id."""
    if results is None or not holds_store(results):
        return {}
    labelled = merged(read_snapshots(open_store(results)))
    return {clip_id: row.split for clip_id, row in labelled.items()}


def _rows(
    layout: Layout,
    folder: Path,
    clips: Mapping[str, ClipFile],
    wanted: Wanted,
    kept: Mapping[str, str],
) -> tuple[Tree, list[TableClip]]:
    """Return the folder as it was read, with its notes, and the rows of its label table."""
    index = ClipIndex(list(clips), layout.prefer)
    with facts_reader(clips) as facts:
        tree = Tree(
            layout,
            folder,
            index,
            facts.read,
            window_seconds=wanted.window_seconds,
            frame_rate=wanted.frame_rate,
        )
        labelled = list(layout.read(tree))
    rows = with_media(tree, labelled, allow_missing=wanted.allow_missing)
    return tree, with_splits(tree, rows, wanted.shares, wanted.seed, kept)


def _check(
    layout: Layout, folder: Path, *, results: str | None, write: Path | None, cut: Path | None
) -> None:
    if results is None and write is None:
        raise ConfigError("found neither --results nor --write, expected a store or a file to fill")
    if not folder.is_dir():
        raise CorpusError(
            f"{folder}: no such folder, expected that of {layout.title}: {layout.files}. "
            f"The data: {layout.ask}"
        )
    if layout.over_time and results is not None and cut is None:
        raise ConfigError(
            f"the labels of {layout.title} run over time and a clip has one: add --cut DIR, a "
            "folder for windows of the recordings (--window-seconds)"
        )
    if cut is not None and not layout.over_time:
        raise ConfigError(f"{layout.title} has one label a clip: leave out --cut")


def _clips(corpus: str, *, needed: bool) -> Mapping[str, ClipFile]:
    """Return the media by clip id; none where none are needed and none are there."""
    try:
        return {clip.clip_id: clip for clip in list_clips(corpus)}
    except CorpusError:
        if needed:
            raise
        return {}


def _cut_of(row: TableClip, clips: Mapping[str, ClipFile], folder: Path) -> WindowCut:
    start, end = _seconds(row.labelled)
    return WindowCut(file_on_disk(clips[row.source]), start, end, folder / row.filename)


def _seconds(clip: DatasetClip) -> tuple[int, int]:
    assert clip.seconds is not None, "a layout over time yields windows"
    return clip.seconds


def _write(path: Path, rows: Sequence[TableClip], targets: Sequence[str]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            write_label_table(file, rows, targets)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written: {error.strerror or error}") from error
