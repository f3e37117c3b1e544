"""Look for clips without a row and for new label files, and send an event for each kind.

The flow itself changes only the store of the labels; deployments react to the events.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from emi_model.errors import ConfigError, CorpusError, LabelError
from flows.server.artifacts import show_label_files
from flows.server.events import api_url, corpus_changed, labels_added
from flows.server.run_names import watched
from tasks.corpus.arrivals import clips_without_rows
from tasks.labels.inbox import REFUSED, REFUSED_NOTE, WAITING, NewFile, Terms, look_into
from tasks.labels.splits import Shares

_LOGGER = logging.getLogger(__name__)

Share = Annotated[float, Field(ge=0, lt=1)]


@flow(name="watch", flow_run_name=watched, validate_parameters=True, persist_result=False)
def watch(
    corpus: str,
    results: str | None = None,
    label_inbox: str | None = None,
    labels: str | None = None,
    valid_share: Share = 0.2,
    test_share: Share = 0.0,
    seed: int = 1,
    targets: list[str] | None = None,
    ignore: list[str] | None = None,
    scale: Annotated[float, Field(gt=0)] = 1.0,
    speaker_from: str | None = None,
) -> dict[str, Any]:
    """Look once for new clips and new label files, and send the server events for them.

    Args:
        corpus: folder, bucket or manifest with the clips.
        results: results store; clips of the corpus that have no row in it are announced.
        label_inbox: folder or bucket; label files in it that are new are added to ``labels``, each
            content once. A file that is refused is reported, and tried again when it changes.
        labels: results store that keeps the labels.
        valid_share: share of clips for validation, where a label file gives no split.
        test_share: share of clips for testing, where a label file gives no split.
        seed: of the splits that are drawn.
        targets: columns of a label file that are targets; default: all that are nothing else.
        ignore: columns of a label file to leave out.
        scale: number that stands for 1 in a label file.
        speaker_from: where a path has its speaker, as `emi labels add --speaker-from` takes it.

    Returns:
        ``num_new`` clips, ``num_waiting`` files that may still be written, and the ``label_files``
        that were new, each with its name, its outcome and a message.

    Raises:
        ConfigError: nothing to look at, or an inbox without a store for its labels.
        CorpusError: no such corpus.
        LabelError: label files were refused; all else is done.
        StoreError: a store is foreign or damaged.
    """
    shares = Shares(valid_share, test_share)
    terms = Terms(shares, seed, targets or (), ignore or (), scale, speaker_from)
    found = look(corpus, results, label_inbox, labels, terms)
    refused = [file["name"] for file in found["label_files"] if file["outcome"] == REFUSED]
    if refused:
        raise LabelError(
            f"{label_inbox}: label files were refused: {', '.join(refused)}: "
            f"{refused[0]}{REFUSED_NOTE} says why; correct the file, and the next look takes it"
        )
    return found


def look(
    corpus: str, results: str | None, label_inbox: str | None, labels: str | None, terms: Terms
) -> dict[str, Any]:
    """Look as `watch` does; return the same, also if files were refused."""
    if not results and not label_inbox:
        raise ConfigError("nothing to watch: name a results store, or an inbox of label files")
    files: list[NewFile] = []
    if label_inbox:
        if not labels:
            raise ConfigError(f"{label_inbox}: no store named that keeps the labels: name one")
        files = take_labels(label_inbox, labels, corpus, terms)
    num_new = find_clips(corpus, results) if results else 0
    return {
        "num_new": num_new,
        "num_waiting": sum(file.outcome == WAITING for file in files),
        "num_refused": sum(file.outcome == REFUSED for file in files),
        "label_files": [file._asdict() for file in files],
    }


@task(name="take-labels", cache_policy=NO_CACHE, persist_result=False)
def take_labels(inbox: str, labels: str, corpus: str, terms: Terms) -> list[NewFile]:
    """Add the new label files, and send an event for each snapshot.

    A file whose event the server does not take is taken again by the next look, which sends it.
    """

    def announce(file: NewFile) -> bool:
        assert file.snapshot is not None, "only snapshots are announced"
        return labels_added(labels, corpus, file.snapshot, file.number) or api_url() is None

    found = [*look_into(inbox, labels, corpus, terms, announce)]
    show_label_files(found)
    return found


@task(name="find-clips", cache_policy=NO_CACHE, persist_result=False)
def find_clips(corpus: str, results: str) -> int:
    """Send an event if there are clips without a row; return their number."""
    try:
        num_new = len(clips_without_rows(corpus, results))
    except CorpusError as error:  # a folder that is still empty; the nightly scan reports it too
        _LOGGER.warning("%s", error)
        return 0
    if num_new:
        corpus_changed(results, corpus, num_new)
    return num_new
