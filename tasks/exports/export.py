"""An export as a whole: clips of a store become files of another tool, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb

from emi_model.errors import ConfigError, ExportError
from tasks.exports.origin import ORIGIN_FILE, as_json, origin
from tasks.exports.placing import Place, placed
from tasks.exports.registry import LABEL_STUDIO, Form, find_form
from tasks.exports.selection import Selection, opened
from tasks.exports.target import ExportTarget
from tasks.progress import Observer, observer
from tasks.storage.open import is_remote, local_path, open_file
from tasks.store.bounds import interruptible
from tasks.store.readers import read_whole
from tasks.store.store import open_store


@dataclass(frozen=True)
class Exported:
    """What an export did.

    Attributes:
        num_clips: clips in it.
        num_chosen: clips that were chosen.
        left_out: clips that it could not take, by the reason in words.
        notes: what else is to be known.
        place: where it is.
    """

    num_clips: int
    num_chosen: int
    left_out: Mapping[str, int]
    notes: tuple[str, ...]
    place: str


@dataclass(frozen=True)
class Chosen:
    """Which clips are exported, and how.

    Attributes:
        where: conditions in SQL over the columns of ``clips``; a clip fits all of them.
        limit: how many at most; None for all.
        media_url: as `tasks.exports.target.ExportTarget` has it; only of Label Studio's form.
    """

    where: Sequence[str] = ()
    limit: int | None = None
    media_url: str | None = None


def write_export(name: str, location: str, out: str, chosen: Chosen | None = None) -> Exported:
    """Write clips of a store in the form of another tool, whole or not at all.

    Args:
        name: of the form, one of `tasks.exports.registry.FORMS`.
        location: of the store.
        out: a file or a new folder, on a disk or in a bucket, as the form is one.
        chosen: which clips; default all.

    Raises:
        ConfigError: no such form, or an option that it does not take.
        StoreError: no store there, or it cannot be read.
        QueryError: a condition that is none, or no clip fits.
        ExportError: the export cannot be written, or has no clip.
    """
    form, chosen = find_form(name), chosen or Chosen()
    _check(form, out, chosen)
    open_store(location)
    watcher = observer()  # the export runs in another thread, which has no context of its own
    with placed(out, is_folder=form.is_folder) as place:

        def attempt(verified: bool) -> tuple[Exported, Path]:
            return interruptible(
                lambda begun: _written(
                    form, location, chosen, place, Hooks(watcher, begun), verified=verified
                )
            )

        try:
            done, written = read_whole(location, attempt)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("nothing was written") from None
        place.keep(written, ORIGIN_FILE if form.is_folder else _file_of(out))
    return done


class Hooks(NamedTuple):
    """What is called while an export is written: to show how far it is, and to stop it."""

    watcher: Observer
    begun: Callable[[duckdb.DuckDBPyConnection], None]


def _check(form: Form, out: str, chosen: Chosen) -> None:
    if chosen.media_url is not None and form.name != LABEL_STUDIO:
        raise ConfigError(f"found --media-url, which {form.name} does not take: leave it out")
    if form.suffix and not out.lower().endswith(form.suffix):
        raise ConfigError(f"{out}: expected a file that ends in {form.suffix}")


def _file_of(out: str) -> str:
    return open_file(out)[1]


def _written(
    form: Form, location: str, chosen: Chosen, place: Place, hooks: Hooks, *, verified: bool
) -> tuple[Exported, Path]:
    """Write an export aside; return what was done, and the folder that holds it."""
    folder = place.fresh()
    file = "" if form.is_folder else _file_of(place.uri)
    with opened(
        location,
        chosen.where,
        limit=chosen.limit,
        verified=verified,
        begun=hooks.begun,
        advance=hooks.watcher.advance,
    ) as selection:
        hooks.watcher.begin("exporting", selection.num_clips, "clips")
        facts = origin(selection, form.name)
        uri = place.uri if is_remote(place.uri) else str(local_path(place.uri).absolute())
        target = ExportTarget(folder, uri, file, facts, chosen.media_url)
        try:
            number = form.write(selection, target)
            if not number:
                raise ExportError(_nothing(location, form, selection))
            facts |= {"written": number, "left_out": selection.left_out, "notes": selection.notes}
            path = folder / ORIGIN_FILE if form.is_folder else target.beside(ORIGIN_FILE)
            path.write_text(as_json(facts), encoding="utf-8")
        except OSError as error:
            raise ExportError(
                f"{place.uri}: cannot be written: {error.strerror or error}"
            ) from error
    left_out, notes = dict(selection.left_out), tuple(selection.notes)
    return Exported(number, selection.num_clips, left_out, notes, place.uri), folder


def _nothing(location: str, form: Form, selection: Selection) -> str:
    why = "; ".join(f"{why}: {number}" for why, number in selection.left_out.items())
    return f"{location}: no clip for {form.name} ({why}): choose others by --where"
