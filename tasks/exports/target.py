"""What a form needs beside the clips to write an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ExportTarget:
    """Where and how an export is written.

    Attributes:
        folder: a new folder on this machine for all of its files, which are then placed.
        place: where they are placed: an absolute path or an address.
        file: name of the export, where it is one file; others go beside it.
        facts: where it comes from, of `tasks.exports.origin.origin`.
        media_url: beginning of the addresses under which a tool finds the clips' media; the clip
            id follows. None for the tool's usual one.
    """

    folder: Path
    place: str
    file: str
    facts: Mapping[str, Any]
    media_url: str | None = None

    def beside(self, ending: str) -> Path:
        """Return the path of a file beside the export: the ending follows its name."""
        return self.folder / f"{self.file}.{ending}"
