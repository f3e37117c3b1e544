"""Which files of a folder or bucket are clips, and what is passed over."""

from __future__ import annotations

import re
from collections import Counter

from tasks.storage.folder import is_of_system

# fmt: off
MEDIA_SUFFIXES = frozenset(
    {
        "3g2", "3ga", "3gp", "3gpp", "aac", "ac3", "adts", "aif", "aifc", "aiff", "amr", "ape",
        "asf", "au", "avi", "avr", "awb", "caf", "dif", "divx", "dss", "dts", "dtshd", "dv",
        "eac3", "ec3", "f4a", "f4v", "flac", "flv", "gxf", "ircam", "isma", "ismv", "latm", "loas",
        "m2t", "m2ts", "m4a", "m4b", "m4r", "m4v", "mka", "mkv", "mlp", "mod", "mov", "mp1", "mp2",
        "mp3", "mp4", "mpa", "mpc", "mpeg", "mpg", "mts", "mxf", "nist", "nut", "oga", "ogg", "ogm",
        "ogv", "ogx", "opus", "paf", "pvf", "qcp", "qt", "qta", "ra", "rf64", "rm", "rmvb", "sf",
        "snd", "sox", "spdif", "sph", "spx", "tak", "thd", "tod", "trp", "truehd", "ts", "tta",
        "vob", "voc", "vro", "w64", "wav", "wave", "weba", "webm", "wma", "wmv", "wtv", "wv",
        "xwma",
    }
)
# fmt: on
"""Suffixes that a folder is searched for, without the dot and in lower case: at least one of each
container that may be decoded."""

SHOWN_KINDS = 8
"""Kinds of files that are named; the others are counted together."""

_SUFFIX = re.compile(r"[a-z0-9_-]{1,12}")

PassedOver = Counter[str]
"""Files and folders of a source that are no clips, by kind: a suffix, or a system's name."""


def kind_passed_over(name: str) -> str | None:
    """Return what a file below a source is if it is no clip; None if it is one.

    Args:
        name: its path below the source, parts separated by slashes.
    """
    *folders, file = name.split("/")
    for folder in folders:
        if (kind := system_kind(folder)) is not None:
            return kind
    if file.startswith("._"):
        return "._*"
    _, dot, suffix = file.rpartition(".")
    suffix = suffix.lower()
    if dot and suffix in MEDIA_SUFFIXES:
        return None
    return f".{suffix}" if dot and _SUFFIX.fullmatch(suffix) else "no suffix"


def system_kind(folder: str) -> str | None:
    """Return what a folder is that belongs to an operating or storage system; else None."""
    lower = folder.lower()
    if not is_of_system(folder):
        return None
    if lower.startswith("._"):
        return "._*"
    return ".Trash-*" if lower.startswith(".trash-") else lower  # a user's number follows


def most_frequent(passed: PassedOver) -> dict[str, int]:
    """Return the counts of the most frequent kinds, and under ``others`` that of the rest."""
    ranked = sorted(passed.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ranked[SHOWN_KINDS:])
    return dict([*ranked[:SHOWN_KINDS], ("others", rest)] if rest else ranked)


def in_words(passed: PassedOver) -> str:
    """Return counts as words, the most frequent first: ``3 .txt, 1 ._*``."""
    return ", ".join(f"{count} {kind}" for kind, count in most_frequent(passed).items())
