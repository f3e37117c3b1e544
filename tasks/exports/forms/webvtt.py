"""WebVTT (https://www.w3.org/TR/webvtt1/): captions, and the timeline as a track of metadata.

``NAME.vtt`` has what was said, ``NAME.timeline.vtt`` a JSON object a second, which a page reads
from ``<track kind="metadata">``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from emi_model.targets import VAD_DIMENSIONS
from tasks.exports.clip_names import write_new
from tasks.exports.selection import Selection
from tasks.exports.target import ExportTarget
from tasks.exports.timed_clips import Stretch, TimedClip, write_each

_DIGITS = 4


def write_webvtt(selection: Selection, target: ExportTarget) -> int:
    """Write the tracks of each clip that has a timeline or words; return how many clips."""

    def write(clip: TimedClip) -> None:
        if clip.said:
            cues = [one._replace(text=_escaped(one.text)) for one in clip.said]
            content = _track(clip, f"speech {clip.language}", cues)
            write_new(target.folder, f"{clip.name}.vtt", content)
        if clip.seconds:
            cues = [Stretch(one.start, one.end, _numbers(one)) for one in clip.seconds]
            content = _track(clip, "timeline", cues)
            write_new(target.folder, f"{clip.name}.timeline.vtt", content)

    return write_each(selection, write)


def _numbers(second: object) -> str:
    values = {name: round(float(getattr(second, name)), _DIGITS) for name in VAD_DIMENSIONS}
    return json.dumps(values)


def _track(clip: TimedClip, what: str, cues: Sequence[Stretch]) -> bytes:
    facts = [what.strip(), clip.clip_id, clip.model, clip.licence, clip.asr_model]
    note = _escaped(", ".join(filter(None, facts)))
    blocks = ["WEBVTT", f"NOTE {note}"]
    blocks += [f"{_time(cue.start)} --> {_time(cue.end)}\n{cue.text}" for cue in cues]
    return ("\n\n".join(blocks) + "\n").encode()


def _escaped(text: str) -> str:
    """Return a text on one line; with ``>`` escaped, too, none holds an arrow."""
    plain = " ".join(text.split())
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float) -> str:
    """Return hours, minutes, seconds and thousandths."""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"
