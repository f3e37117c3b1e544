"""Praat's TextGrid, in its long text form and UTF-8: a file a clip, a tier a dimension.

Praat's manual, "TextGrid file formats": an interval tier covers all of its time without a gap, and
a quotation mark in a text is written twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emi_model.targets import VAD_DIMENSIONS
from tasks.exports.clip_names import write_new
from tasks.exports.selection import Selection
from tasks.exports.target import ExportTarget
from tasks.exports.timed_clips import Stretch, TimedClip, write_each


def write_textgrids(selection: Selection, target: ExportTarget) -> int:
    """Write ``NAME.TextGrid`` for each clip that has a timeline or words; return how many."""

    def write(clip: TimedClip) -> None:
        write_new(target.folder, f"{clip.name}.TextGrid", "".join(_lines(clip)).encode())

    return write_each(selection, write)


def _lines(clip: TimedClip) -> Iterator[str]:
    tiers: dict[str, Sequence[Stretch]] = {"speech": clip.said} if clip.said else {}
    for name in VAD_DIMENSIONS if clip.seconds else ():
        tiers[name] = [
            Stretch(one.start, one.end, f"{getattr(one, name):.3f}") for one in clip.seconds
        ]
    end = _number(clip.end)
    yield 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    yield f"xmin = 0\nxmax = {end}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:\n"
    for place, (name, stretches) in enumerate(tiers.items(), 1):
        intervals = list(_without_gaps(stretches, clip.end))
        yield f'    item [{place}]:\n        class = "IntervalTier"\n        name = "{name}"\n'
        yield f"        xmin = 0\n        xmax = {end}\n"
        yield f"        intervals: size = {len(intervals)}\n"
        for number, one in enumerate(intervals, 1):
            yield f"        intervals [{number}]:\n"
            yield f"            xmin = {_number(one.start)}\n"
            yield f"            xmax = {_number(one.end)}\n"
            yield f'            text = "{_escaped(one.text)}"\n'


def _without_gaps(stretches: Sequence[Stretch], end: float) -> Iterator[Stretch]:
    """Yield stretches with empty ones between them, from 0 to the end."""
    reached = 0.0
    for one in stretches:
        if one.start > reached:
            yield Stretch(reached, one.start, "")
        yield one
        reached = one.end
    if end > reached:
        yield Stretch(reached, end, "")


def _number(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace('"', '""')
