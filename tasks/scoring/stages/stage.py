"""What the stages of a run are: decoders first, then actors that hold a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from tasks.corpus.clips import ClipFile
from tasks.extraction.rows import Row

CLIPS_PER_BLOCK = 32
"""Most clips of one block: a step of the LSTM costs the same for one clip and for many."""

CLIPS_PER_GPU_BATCH = 256
"""Clips that a scorer on a GPU takes at once: an LSTM step costs the same for one and for all."""


class ExtractionSettings(Protocol):
    """What decoders need of a run's settings.

    Attributes:
        max_seconds: seconds of a clip to decode; None for all.
        timeout_seconds: for the extraction of one clip.
        needs: modalities to extract, each with whether a clip is rejected without it.
        options: settings of extractors by modality.
    """

    @property
    def max_seconds(self) -> float | None: ...  # noqa: D102
    @property
    def timeout_seconds(self) -> float: ...  # noqa: D102
    @property
    def needs(self) -> Mapping[str, bool]: ...  # noqa: D102
    @property
    def options(self) -> Mapping[str, Any]: ...  # noqa: D102


@dataclass(frozen=True)
class ActorStage:
    """A stage of actors: each holds a model and turns a block of rows into another.

    Attributes:
        name: in the ledger.
        actor: their class; made with ``settings``, ``budget`` and ``ledger``, called with a block,
            closed in a process that goes on.
        settings: theirs.
        clips_per_gpu_batch: clips that one on a GPU takes at once; None: a block.
        clips_per_batch: the same on a CPU.
        given: returns, for the clips of a pass, what each actor gets as ``given``; or None.
    """

    name: str
    actor: type[Any]
    settings: Any
    clips_per_gpu_batch: int | None = None
    clips_per_batch: int | None = None
    given: Callable[[Sequence[ClipFile]], Any] | None = None


@dataclass(frozen=True)
class Work:
    """What a run does with each clip.

    Attributes:
        extraction: settings of the decoders.
        stages: of actors, in their order.
        schema: of the last one's rows.
        finished: turns a rejected row of the decoders into one of these.
        clips_per_block: most clips of one block.
    """

    extraction: ExtractionSettings
    stages: tuple[ActorStage, ...]
    schema: pa.Schema
    finished: Callable[[Row], Row]
    clips_per_block: int = CLIPS_PER_BLOCK


class PassFailed(Exception):
    """A pass ended because a worker process died, or an error was raised that nobody expects.

    Attributes:
        suspects: ids of the clips that workers of its stage had.
        lost: ids of the lost nodes; if there are any, there are no suspects.
        is_alive: no process died: the stages run in this one.
    """

    def __init__(
        self,
        message: str,
        suspects: frozenset[str],
        lost: frozenset[str] = frozenset(),
        *,
        is_alive: bool = False,
    ) -> None:
        """Store what ended it, the suspects and the lost nodes."""
        super().__init__(message)
        self.suspects = suspects
        self.lost = lost
        self.is_alive = is_alive
