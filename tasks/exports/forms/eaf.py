"""ELAN's annotation format, EAF 3.0: a file a clip, with tiers for speech and for each dimension.

The schema (https://www.mpi.nl/tools/elan/EAFv3.0.xsd) asks for the elements in this order; times
are whole milliseconds, and annotations of a tier do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from pathlib import PurePosixPath
from urllib.parse import quote
from xml.etree import ElementTree

from emi_model.targets import VAD_DIMENSIONS
from tasks.exports.clip_names import write_new
from tasks.exports.selection import Selection
from tasks.exports.target import ExportTarget
from tasks.exports.timed_clips import Stretch, TimedClip, write_each
from tasks.exports.xml_text import add_element, add_text, as_bytes

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_TYPE = "default-lt"
_MIME_TYPES = {
    ".wav": "audio/x-wav",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mpg": "video/mpeg",
    ".webm": "video/webm",
}

ElementTree.register_namespace("xsi", _XSI)


def write_eaf(selection: Selection, target: ExportTarget) -> int:
    """Write ``NAME.eaf`` for each clip that has a timeline or words; return how many."""

    def write(clip: TimedClip) -> None:
        write_new(target.folder, f"{clip.name}.eaf", _document(clip))

    return write_each(selection, write)


def _document(clip: TimedClip) -> bytes:
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "emi export",
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{_XSI}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    _add_header(root, clip)
    tiers = {"speech": clip.said} if clip.said else {}
    tiers |= {name: tuple(_numbers(clip, name)) for name in VAD_DIMENSIONS if clip.seconds}
    slots: dict[int, str] = {}
    for one in (one for stretches in tiers.values() for one in stretches):
        slots |= dict.fromkeys(_milliseconds(one), "")
    slots = {time: f"ts{number}" for number, time in enumerate(sorted(slots), 1)}
    order = add_element(root, "TIME_ORDER")
    for time, slot in slots.items():
        add_text(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(time))
    numbers = count(1)
    for name, stretches in tiers.items():
        tier = add_element(root, "TIER", TIER_ID=name, LINGUISTIC_TYPE_REF=_TYPE)
        for one in stretches:
            start, end = (slots[time] for time in _milliseconds(one))
            holder = add_element(
                add_element(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{next(numbers)}",
                TIME_SLOT_REF1=start,
                TIME_SLOT_REF2=end,
            )
            add_text(holder, "ANNOTATION_VALUE", one.text)
    add_text(root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID=_TYPE, TIME_ALIGNABLE="true")
    return as_bytes(root)


def _add_header(root: ElementTree.Element, clip: TimedClip) -> None:
    if clip.licence:
        add_text(root, "LICENSE", f"scores: weights under {clip.licence}", LICENSE_URL="")
    header = add_element(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    suffix = PurePosixPath(clip.clip_id).suffix.lower()
    url = clip.uri if "://" in clip.uri else f"file://{quote(clip.uri)}"
    add_text(
        header,
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=url,
        MIME_TYPE=_MIME_TYPES.get(suffix, "unknown"),
        RELATIVE_MEDIA_URL=f"./{quote(PurePosixPath(clip.clip_id).name)}",
    )
    facts = {"clip_id": clip.clip_id, "model": clip.model, "asr_model": clip.asr_model}
    for name, value in facts.items():
        if value:
            add_text(header, "PROPERTY", value, NAME=name)


def _numbers(clip: TimedClip, dimension: str) -> Iterable[Stretch]:
    for one in clip.seconds:
        yield Stretch(one.start, one.end, f"{getattr(one, dimension):.3f}")


def _milliseconds(one: Stretch) -> tuple[int, int]:
    """Return start and end in whole milliseconds; an annotation has at least one."""
    start = round(one.start * 1000)
    return start, max(round(one.end * 1000), start + 1)
