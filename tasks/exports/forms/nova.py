"""NOVA's annotations: ``speaker.SCHEME.emi.annotation`` and its data, in a folder a clip (session).

Arousal, dominance, valence are continuous schemes of one value a second, beginning at 0 (a second
without sound is NaN with confidence 0); speech is a free scheme. The data are lines of cells
between semicolons, so a semicolon in a text becomes a comma, and a quotation mark, with which
NOVA's Python reader begins a cell, an apostrophe. The format: NOVA's documentation, "File Format"
(https://github.com/hcmlab/nova).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from emi_model.targets import VAD_DIMENSIONS
from tasks.exports.clip_names import write_new
from tasks.exports.selection import Selection
from tasks.exports.target import ExportTarget
from tasks.exports.timed_clips import Stretch, TimedClip, write_each
from tasks.exports.xml_text import add_text, as_bytes

ROLE, ANNOTATOR = "speaker", "emi"


def write_nova(selection: Selection, target: ExportTarget) -> int:
    """Write the annotations of each clip that has a timeline or words; return how many clips."""

    def write(clip: TimedClip) -> None:
        for scheme, header, lines in _schemes(clip):
            name = f"{clip.name}/{ROLE}.{scheme}.{ANNOTATOR}.annotation"
            write_new(target.folder, name, header)
            write_new(target.folder, f"{name}~", "".join(lines).encode())

    return write_each(selection, write)


def _schemes(clip: TimedClip) -> Iterator[tuple[str, bytes, Sequence[str]]]:
    """Yield the name, the header and the lines of each annotation of a clip."""
    for name in VAD_DIMENSIONS if clip.seconds else ():
        values = {round(one.start): float(getattr(one, name)) for one in clip.seconds}
        lines = [
            f"{values[second]:.4f};1\n" if second in values else "NaN;0\n"
            for second in range(max(values) + 1)
        ]
        low, high = min(0, *values.values()), max(1, *values.values())
        bounds = {"min": f"{math.floor(low)}", "max": f"{math.ceil(high)}"}
        header = _header(clip, len(lines), name=name, type="CONTINUOUS", sr="1", **bounds)
        yield name, header, lines
    if clip.said:
        lines = [f"{one.start:.3f};{one.end:.3f};{_cell(one)};1\n" for one in clip.said]
        yield "speech", _header(clip, len(lines), name="speech", type="FREE"), lines


def _header(clip: TimedClip, size: int, **scheme: str) -> bytes:
    root = ElementTree.Element("annotation", {"ssi-v": "3"})
    add_text(root, "info", ftype="ASCII", size=str(size))
    add_text(root, "meta", role=ROLE, annotator=ANNOTATOR, model=clip.model, licence=clip.licence)
    add_text(root, "scheme", **scheme)
    return as_bytes(root)


def _cell(one: Stretch) -> str:
    return " ".join(one.text.split()).replace(";", ",").replace('"', "'")
