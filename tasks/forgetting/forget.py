"""Forgets clips: in stores, on this machine; says what only people can do.

What only people can do: remove the clips' files, and train anew what was trained on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote_to_bytes

from emi_model.errors import RegistryError, StoreError
from tasks.forgetting.caches import cached_files, empty_caches, unfinished_trainings
from tasks.forgetting.journal import Amount, UnderWay, begun_before
from tasks.forgetting.models import TrainedVersion, versions_trained_on
from tasks.forgetting.rows import count_rows, remove_rows
from tasks.forgetting.texts import (
    databases_naming,
    naming_files,
    naming_files_of_machine,
    parts_aside,
    remove_files_aside,
    remove_parts_aside,
    rewrite_texts,
)
from tasks.forgetting.wanted import WantedClips, all_clip_ids, clips_meant
from tasks.labels.add_labels import locked_labels
from tasks.provenance import new_run_id
from tasks.schema.registers import register_table
from tasks.schema.tables import FORGOTTEN
from tasks.storage.local import LocalFolder
from tasks.storage.open import is_remote, open_file
from tasks.store.store import ResultsStore, open_store
from tasks.store.writers import ALIVE

_FILE_URI = "file://"


@dataclass(frozen=True)
class Forgotten:
    """What was forgotten, or would be.

    Attributes:
        clip_ids: sorted.
        amount: how much there was of them.
        models: versions that were trained on them, or of which it is not known.
        registry_error: why the registry could not be asked; empty if it could.
        still_there: places of their files that are there yet, sorted.
        same_content: clips that stay although they have the content of one of these, sorted.
        trainings: folders of trainings that were stopped or run yet: they may learn from them.
        databases: of other programs, which name them.
        num_resumed: forgettings that were killed before and are done now.
    """

    clip_ids: tuple[str, ...]
    amount: Amount
    models: tuple[TrainedVersion, ...] = ()
    registry_error: str = ""
    still_there: tuple[str, ...] = ()
    same_content: tuple[str, ...] = ()
    trainings: tuple[Path, ...] = ()
    databases: tuple[Path, ...] = ()
    num_resumed: int = field(default=0)


def plan_forgetting(
    results: str, pattern: str | None, speaker: str | None, others: Sequence[str] = ()
) -> tuple[WantedClips, Forgotten]:
    """Find out which clips are meant, and what there is of them; nothing is changed.

    Args:
        results: the store, on a disk or in a bucket.
        pattern: which clips, as in `tasks.forgetting.wanted.clips_meant`.
        speaker: whose clips, in place of a pattern.
        others: more stores from which they are to be forgotten.

    Raises:
        CorpusError: no clip is meant.
        StoreError: a store cannot be read, or a part that may hold such rows is damaged.
    """
    stores = _opened(results, others)
    wanted = clips_meant(stores, pattern, speaker)
    rows = {_place(store): count_rows(store, wanted) for store in stores}
    texts = [*naming_files_of_machine(wanted)]
    aside = []
    for store in stores:
        texts += naming_files(store, wanted)
        aside += parts_aside(store, wanted)
    models, registry_error = _models(wanted, stores)
    known = [model for model in models if not model.why]
    amount = Amount(
        rows,
        num_texts=len(texts) + len(aside),
        num_cached=len(cached_files(wanted, lambda: _staying(stores, wanted))),
        num_models=None if registry_error else len(known),
    )
    return wanted, Forgotten(
        tuple(sorted(wanted.clip_ids)),
        amount,
        models,
        registry_error,
        tuple(sorted(place for place in wanted.places if _is_there(place))),
        tuple(sorted(wanted.same_content)),
        tuple(unfinished_trainings()),
        tuple(databases_naming(wanted)),
    )


def forget_clips(
    results: str, wanted: WantedClips, amount: Amount, others: Sequence[str] = ()
) -> None:
    """Remove all that stores and this machine keep of clips, and record that it was done.

    Args:
        results: the store that keeps the journal.
        wanted: the clips, as `plan_forgetting` found them.
        amount: likewise.
        others: more stores.

    Raises:
        StoreError: a store cannot be written, or a run writes to it.
    """
    stores = _opened(results, others)
    with _locked(stores):
        begun = UnderWay(new_run_id(), wanted, amount)
        begun.write(stores[0])
        _finish(stores, begun)


def finish_forgetting(results: str, others: Sequence[str] = ()) -> int:
    """Finish what calls that were killed have begun; return how many there were.

    Raises:
        StoreError: as `forget_clips`.
    """
    store = _opened(results, ())[0]
    left = begun_before(store)
    for begun in left:
        stores = _opened(results, [*list(begun.amount.num_rows)[1:], *others])
        with _locked(stores):
            _finish(stores, begun)
    return len(left)


def _finish(stores: Sequence[ResultsStore], begun: UnderWay) -> None:
    """Do all that is left of a forgetting; the stores are locked."""
    wanted, amount = begun.wanted, begun.amount
    in_bucket = any(is_remote(store.location) for store in stores)
    empty_caches(wanted, lambda: _staying(stores, wanted), of_bucket=in_bucket)
    for store in stores:
        rewrite_texts(store, wanted)
        remove_parts_aside(store, wanted)
        remove_files_aside(store)
        remove_rows(store, wanted, begun.forgetting_id)
    if in_bucket:  # a reader may have fetched an old part meanwhile
        empty_caches(wanted, lambda: _staying(stores, wanted), of_bucket=True)
    counts = list(amount.num_rows.values())
    for place, store in enumerate(stores):
        num_rows = counts[place] if place < len(counts) else {}
        row = {
            "forgetting_id": begun.forgetting_id,
            "begun_at": begun.begun_at,
            "finished_at": datetime.now(UTC),
            "num_clips": len(wanted.clip_ids),
            "num_rows": list(num_rows.items()),
            "num_texts": amount.num_texts,
            "num_cached": amount.num_cached,
            "num_models": amount.num_models,
        }
        store.claim(FORGOTTEN, begun.forgetting_id, register_table(FORGOTTEN, [row]))
    begun.close(stores[0])


def _models(
    wanted: WantedClips, stores: Sequence[ResultsStore]
) -> tuple[tuple[TrainedVersion, ...], str]:
    contents = wanted.contents
    try:
        return tuple(versions_trained_on(contents, [store.location for store in stores])), ""
    except RegistryError as error:
        return (), str(error)


def _opened(results: str, others: Sequence[str]) -> list[ResultsStore]:
    """Return each store once."""
    stores: dict[str, ResultsStore] = {}
    for store in map(open_store, (results, *others)):
        stores.setdefault(_place(store), store)
    return list(stores.values())


def _place(store: ResultsStore) -> str:
    """Return where a store lies, whatever the folder that a command is started in."""
    folder = store.folder
    return str(folder.root.resolve()) if isinstance(folder, LocalFolder) else folder.uri


@contextmanager
def _locked(stores: Sequence[ResultsStore]) -> Iterator[None]:
    """Lock all stores for writing; in a bucket see that no run writes."""
    with ExitStack() as stack:
        for store in stores:
            stack.enter_context(store.lock())
            stack.enter_context(locked_labels(store))
            if not isinstance(store.folder, LocalFolder):
                _check_no_run(store)
        yield


def _check_no_run(store: ResultsStore) -> None:
    silent = set(store.silent_runs())
    with store.storage_errors():
        shown = {file.name.removeprefix(f"{ALIVE}/") for file in store.folder.files(ALIVE)}
    alive = sorted(shown - silent)
    if alive:
        raise StoreError(
            f"{store.location}: a run writes here ({alive[0]}): wait for it; one that was killed "
            "counts as ended after ten minutes"
        )


def _staying(stores: Sequence[ResultsStore], wanted: WantedClips) -> set[str]:
    return {clip_id for store in stores for clip_id in all_clip_ids(store)} - wanted.clip_ids


def _is_there(place: str) -> bool:
    """Return whether a clip's file is there yet; one that cannot be looked at counts as gone."""
    try:
        if place.startswith(_FILE_URI):
            return Path(unquote_to_bytes(place.removeprefix(_FILE_URI)).decode()).exists()
        folder, name = open_file(place)
        return folder.exists(name)
    except (OSError, ValueError):
        return False
