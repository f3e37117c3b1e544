"""The rows of embedded clips: extracted, and given to the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from emi_model.embed import Embedder
from emi_model.errors import AudioError
from emi_model.modalities import AUDIO
from tasks.corpus.clips import ClipFile
from tasks.extraction.audio import TIMEOUT_SECONDS
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import unpack
from tasks.extraction.rows import extract_clip
from tasks.schema.outcomes import Reason

_FILE = ("clip_id", "uri", "content_sha256", "bytes", "modified_ns", "reason", "detail")


def embedded(
    clips: Sequence[ClipFile], embedder: Embedder, seconds: float | None, *, frames: bool
) -> Iterator[dict[str, Any]]:
    """Yield the row of each clip, embedded or rejected, without what names the model.

    Args:
        clips: listed.
        embedder: of a model that hears.
        seconds: to decode of each; None for all.
        frames: keep the features of every frame.
    """
    with Prober() as prober:
        for clip in clips:
            row = extract_clip(
                clip, max_seconds=seconds, timeout_seconds=TIMEOUT_SECONDS, prober=prober
            )
            yield _row(row, embedder, frames=frames)


def _row(extracted: Mapping[str, Any], embedder: Embedder, *, frames: bool) -> dict[str, Any]:
    row: dict[str, Any] = {name: extracted[name] for name in _FILE}
    if extracted["inputs"] is None:
        return row
    try:
        found = embedder(unpack(extracted)[AUDIO])
    except AudioError as error:
        return row | {"reason": Reason.TOO_SHORT.value, "detail": str(error)}
    row |= {"num_frames": len(found.frames), "vector": found.vector}
    return row | ({"frames": list(found.frames)} if frames else {})
