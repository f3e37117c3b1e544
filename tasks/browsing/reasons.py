"""Why a clip was rejected, and what its warnings mean, in plain words; how to try it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from tasks.schema.outcomes import Flag, Reason

REASON_WORDS: Mapping[str, str] = {
    Reason.MISSING: "No file lay at this path when the run came to it.",
    Reason.UNREADABLE: "The file cannot be opened, is empty, or is no sound or video.",
    Reason.NO_AUDIO_TRACK: "The file holds no sound.",
    Reason.NO_VIDEO: "The file holds no moving picture, and the model must see one.",
    Reason.NO_FACE: "No picture of the clip shows a face, and the model must see one.",
    Reason.UNSUPPORTED_CODEC: "The sound or picture is in a codec that is not decoded.",
    Reason.ENCRYPTED: "The sound is encrypted: it needs a key.",
    Reason.UNSUPPORTED_FORMAT: "The file is of a format that is not decoded.",
    Reason.REFUSED: "The file is a playlist or script, which may open other files.",
    Reason.NO_SAMPLES: "The file has a sound track, but nothing could be decoded from it.",
    Reason.NOT_FETCHED: "The bucket has the file, but did not give it, or changed it meanwhile.",
    Reason.TOO_LARGE: "The file is larger than the scratch folder may be.",
    Reason.TOO_SHORT: "The sound is shorter than 25 ms.",
    Reason.NO_SPEECH: "Nobody speaks in the clip, and the model needs words.",
    Reason.NO_SERIES: "The features that were given hold nothing of this clip.",
    Reason.BAD_SERIES: "The clip's features cannot be read, or do not fit the model.",
    Reason.TIMEOUT: "Reading the file took longer than 120 s.",
    Reason.WORKER_DIED: "The clip twice ended its worker process, or raised an unexpected error.",
    Reason.OUT_OF_MEMORY: "The clip did not fit into memory, even alone.",
}
FLAG_WORDS: Mapping[str, str] = {
    Flag.TRUNCATED: "The clip is longer than what was scored.",
    Flag.SILENT: "The sound is nearly silent: the scores say little.",
    Flag.CLIPPED: "The sound is overdriven: the scores say little.",
    Flag.SHORT_DECODE: "Clearly less could be decoded than the file declares.",
    Flag.MEAN_OF_CHANNELS: "The file does not say what its channels are: they were averaged.",
    Flag.AMBISONIC_W: "The sound is ambisonic: its W channel was scored.",
    Flag.ONE_CHANNEL: "The two channels cancel each other: the first was scored.",
    Flag.INPUT_FAILED: "An input could not be read: scored without it; the next run tries again.",
}
_TRIED_AGAIN = (Reason.NOT_FETCHED, Reason.TOO_LARGE, Reason.NO_SERIES, Reason.BAD_SERIES)


def reason_words(reason: str) -> str:
    """Return what a reason means; one that a later version wrote stands for itself."""
    return REASON_WORDS.get(reason, reason)


def flag_words(flag: str) -> str:
    """Return what a warning means, likewise."""
    return FLAG_WORDS.get(flag, flag)


def is_tried_again(reason: str) -> bool:
    """Return whether the next run of the whole corpus tries a clip of this reason again."""
    return reason in _TRIED_AGAIN


def retry_command(row: Mapping[str, Any], location: str) -> str:
    """Return the shell command that scores one clip again, whatever its name holds.

    Args:
        row: of scores.
        location: of the store.
    """
    named = json.dumps({"uri": row["uri"], "clip_id": row["clip_id"]})
    full = " --coverage full" if row["coverage"] == "full" else ""
    return (
        f"printf '%s\\n' {shlex.quote(named)} > retry.jsonl && "
        f"emi process retry.jsonl --results {shlex.quote(location)}{full} --rescore"
    )
