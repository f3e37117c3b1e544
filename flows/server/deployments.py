"""All deployments of a site: what its Prefect server runs, and when.

`emi up` serves them, `emi deploy` registers them. infra/prefect.yaml has the same for Prefect's own
`prefect deploy`; a test compares the two.

process-corpus/nightly        at night; cancelled if another scan is running
process-corpus/on-promotion   when a model has a new champion, which then scores the corpus
process-corpus/on-arrival     when the watch has found clips without a row
retrain/on-labels             when a store has a new label snapshot; several at once are one run
train/, evaluate/on-demand    by hand, from the form in the UI
watch/corpus                  every few minutes, if there is anything to watch
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from emi_model.errors import ConfigError
from flows.server.deployment import Deployment, Trigger
from flows.server.events import (
    CORPUS_CHANGED,
    LABELS_ADDED,
    MODEL_PROMOTED,
    model_resource,
    store_resource,
)
from tasks.registry.version import CHAMPION, MODEL, MODEL_SCHEME

NIGHTLY = "15 2 * * *"
WATCH = "*/10 * * * *"
DEBOUNCE_SECONDS = 60
"""Label snapshots within this time lead to one retraining, with all of them."""

WAIT_MINUTES = 720
"""How long a deployed run waits for another one that writes to the same store."""


@dataclass(frozen=True)
class Setup:
    """The settings of a site; locations are absolute paths, or URIs of object storage.

    Attributes:
        corpus: folder, bucket or manifest with the clips.
        results: the results store.
        labels: the store with the labels.
        model: that scores the corpus; None: whatever version is champion then.
        name: registered model that retraining improves.
        recipe: of retraining; None: that of the champion.
        cron: when the corpus is scanned; None: there is no schedule.
        timezone: IANA name of the zone of both crons.
        watch_cron: when the watch runs.
        watch_corpus: the watch looks for clips without a row.
        label_inbox: folder or bucket whose label files the watch adds; None: none.
        debounce_seconds: snapshots within this time lead to one retraining.
        coverage: ``first`` window of a clip, or ``full``.
        ray_address: of an existing Ray cluster; None: runs start Ray on their machine.
        gpus_per_scorer: GPUs, or the fraction of one, that a scoring process takes.
        suffix: of the deployments' names, so that two setups can share a server; may be empty.
    """

    corpus: str
    results: str
    labels: str
    model: str | None = None
    name: str = MODEL
    recipe: str | None = None
    cron: str | None = NIGHTLY
    timezone: str = "UTC"
    watch_cron: str = WATCH
    watch_corpus: bool = False
    label_inbox: str | None = None
    debounce_seconds: int = DEBOUNCE_SECONDS
    coverage: str = "first"
    ray_address: str | None = None
    gpus_per_scorer: float | None = None
    suffix: str = ""

    @property
    def champion(self) -> str:
        """Return the reference to whatever version is champion."""
        return f"{MODEL_SCHEME}/{self.name}@{CHAMPION}"


def deployments(setup: Setup) -> list[Deployment]:
    """Return all deployments of a site."""
    found = [*_scans(setup), _retraining(setup), *_on_demand(setup)]
    if setup.watch_corpus or setup.label_inbox:
        found.append(_watch(setup))
    if not setup.suffix:
        return found
    return [replace(one, name=f"{one.name}-{setup.suffix}") for one in found]


def _scans(setup: Setup) -> list[Deployment]:
    parameters = {
        "source": setup.corpus,
        "results": setup.results,
        "model": setup.model or setup.champion,
        "coverage": setup.coverage,
        **_given({"gpus_per_scorer": setup.gpus_per_scorer, "ray_address": setup.ray_address}),
        "wait_minutes": WAIT_MINUTES,
    }
    nightly = Deployment(
        flow="process-corpus",
        entrypoint="flows.process.process_corpus",
        name="nightly",
        description="Scores every clip of the corpus that the results store has no row for.",
        parameters=parameters,
        cron=setup.cron,
        timezone=setup.timezone,
        collision="CANCEL_NEW",
    )
    promoted = Trigger(
        event=MODEL_PROMOTED,
        resource=model_resource(setup.name),
        description="a new champion scores the corpus",
        parameters={"model": "{{ event.payload.reference }}"},
    )
    arrived = Trigger(
        event=CORPUS_CHANGED,
        resource=store_resource(setup.results),
        description="new clips are scored",
    )
    return [
        nightly,
        replace(
            nightly,
            name="on-promotion",
            description="Scores the corpus by a new champion, beside the rows of others.",
            cron=None,
            trigger=promoted,
            collision="ENQUEUE",
        ),
        replace(
            nightly,
            name="on-arrival",
            description="Scores clips that the watch has found to be without a row.",
            cron=None,
            trigger=arrived,  # the watch emits the event again as long as there are such clips
        ),
    ]


def _retraining(setup: Setup) -> Deployment:
    labelled = Trigger(
        event=LABELS_ADDED,
        resource=store_resource(setup.labels),
        description="new labels lead to a retraining",
        debounce_seconds=setup.debounce_seconds,
    )
    return Deployment(
        flow="retrain",
        entrypoint="flows.retrain.retrain_model",
        name="on-labels",
        description="Trains a challenger on all labels; promotes it if it is better beyond doubt.",
        parameters=_training(setup) | {"name": setup.name},
        trigger=labelled,
    )


def _on_demand(setup: Setup) -> list[Deployment]:
    evaluation = Deployment(
        flow="evaluate",
        entrypoint="flows.evaluate.evaluate_model",
        name="on-demand",
        description="Measures how well a model follows the labels of a split.",
        parameters={"model": setup.champion, "labels": setup.labels, "corpus": setup.corpus},
    )
    training = Deployment(
        flow="train",
        entrypoint="flows.train.train_model",
        name="on-demand",
        description="Trains a model on the labels and registers it; the champion stays who it is.",
        parameters=_training(setup) | {"name": setup.name},
    )
    return [evaluation, training]


def _watch(setup: Setup) -> Deployment:
    return Deployment(
        flow="watch",
        entrypoint="flows.watch.watch",
        name="corpus",
        description="Looks for clips without a row, and for new label files.",
        parameters=_given(
            {
                "corpus": setup.corpus,
                "results": setup.results if setup.watch_corpus else None,
                "label_inbox": setup.label_inbox,
                "labels": setup.labels if setup.label_inbox else None,
            }
        ),
        cron=setup.watch_cron,
        timezone=setup.timezone,
        collision="CANCEL_NEW",
    )


def _training(setup: Setup) -> dict[str, Any]:
    named = {"recipe": setup.recipe, "ray_address": setup.ray_address}
    return {"labels": setup.labels, "corpus": setup.corpus, **_given(named)}


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def local_timezone() -> str:
    """Return the IANA name of this machine's time zone; UTC if it is not set."""
    named = os.environ.get("TZ", "").lstrip(":")
    name = named or str(Path("/etc/localtime").resolve()).rpartition("zoneinfo/")[2]
    try:
        return ZoneInfo(name).key
    except (ValueError, ZoneInfoNotFoundError, OSError):
        return "UTC"


def check_schedule(cron: str, timezone: str) -> None:
    """Check a cron and a time zone.

    Raises:
        ConfigError: one of them is invalid.
    """
    from prefect.client.schemas.schedules import CronSchedule

    try:
        ZoneInfo(timezone)
        CronSchedule(cron=cron, timezone=timezone)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ConfigError(
            f"found the schedule {cron!r} in {timezone!r}, expected five fields such as "
            f"{NIGHTLY!r} and a zone such as 'Europe/Berlin'"
        ) from error
