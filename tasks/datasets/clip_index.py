"""The media files of a data set by their bare names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from emi_model.errors import LabelError
from tasks.corpus.passed_over import MEDIA_SUFFIXES


def bare_name(name: str) -> str:
    """Return a file's name without folders and without the suffix of a media file."""
    path = PurePosixPath(name.strip().replace("\\", "/"))
    return path.stem if path.suffix[1:].lower() in MEDIA_SUFFIXES else path.name


class ClipIndex:
    """Clips by name.

    Attributes:
        clip_ids: all of them.
    """

    def __init__(self, clip_ids: Sequence[str], prefer: Sequence[str]) -> None:
        """Take the clips and the suffixes that count first where several have one name."""
        self.clip_ids = clip_ids
        self._prefer = prefer
        self._named: dict[str, list[str]] = defaultdict(list)
        for clip_id in clip_ids:
            self._named[bare_name(clip_id)].append(clip_id)

    def find(self, name: str, within: Sequence[str] = ()) -> str | None:
        """Return the clip of a name; None if there is none.

        Args:
            name: without folders and suffix.
            within: folders of which one is on the way to it; empty: any.

        Raises:
            LabelError: several have this name.
        """
        found = self._named.get(name, [])
        if within:
            found = [clip_id for clip_id in found if _folders(clip_id) & set(within)]
        if len(found) > 1:
            found = self._preferred(found)
        if len(found) > 1:
            raise LabelError(
                f"{name} is {found[0]} and {found[1]}: expected one media file; name the folder of "
                "those that you want with --corpus"
            )
        return found[0] if found else None

    def _preferred(self, clip_ids: Sequence[str]) -> list[str]:
        for suffix in self._prefer:
            found = [one for one in clip_ids if one.lower().endswith(f".{suffix}")]
            if found:
                return found
        return list(clip_ids)


def _folders(clip_id: str) -> set[str]:
    return set(PurePosixPath(clip_id).parts[:-1])
