"""One store for all tests that only read it, and one export of it in each form."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tasks.exports.export import Chosen, Exported, write_export
from tasks.exports.registry import FORMS
from tests.tasks.exports.made_store import made_store


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the location of `made_store`."""
    root = tmp_path_factory.mktemp("exports") / "store"
    made_store(root)
    return root


@pytest.fixture(scope="session")
def exported(
    clips: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, Exported]]:
    """Return a function that gives the export of all those clips in a form, and its report."""
    root = tmp_path_factory.mktemp("exported")

    @cache
    def export_once(form: str) -> tuple[Path, Exported]:
        out = root / form / f"clips{FORMS[form].suffix}"
        return out, write_export(form, str(clips), str(out))

    return export_once


@pytest.fixture
def written(clips: Path, tmp_path: Path) -> Callable[..., tuple[Path, Exported]]:
    """Return a function that exports some of those clips: path and report of the export."""

    def write(form: str, out: str, *where: str, **how: Any) -> tuple[Path, Exported]:
        done = write_export(form, str(clips), str(tmp_path / out), Chosen(where, **how))
        return tmp_path / out, done

    return write
