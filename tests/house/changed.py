"""Run the unit tests of what differs from main: `python -m tests.house.changed`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALWAYS = "tests/house"
ELSEWHERE = ("tests/integration", "tests/benchmarks")
"""Folders of tests that are no unit tests."""
MAIN = ("main", "origin/main")


def changed_files(root: Path = ROOT) -> list[Path]:
    """Return the files that differ from main, whether or not they are committed or added."""
    existing = _git(root, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes")
    main = next((name for name in MAIN if name in existing), "HEAD")
    base = _git(root, "merge-base", main, "HEAD")
    changed = _git(root, "diff", "--name-only", *base)
    added = _git(root, "ls-files", "--others", "--exclude-standard")
    return sorted(Path(name) for name in {*changed, *added})


def unit_tests_of(changed: Iterable[Path], root: Path = ROOT) -> list[str]:
    """Return the test files and folders to run for changed files; tests/house is among them.

    A source file X/Y/z.py has its tests in tests/X/Y/test_z*.py, else in all of tests/X/Y. What
    the tests of a folder share stands for that folder's tests.
    """
    found = {ALWAYS}
    for path in changed:
        is_test = path.parts[0] == "tests"
        folder = path.parent if is_test else Path("tests") / path.parent
        if path.suffix != ".py" or folder.as_posix().startswith(ELSEWHERE):
            continue
        pattern = path.name if path.name.startswith("test_") else f"test_{path.stem}*.py"
        files = sorted((root / folder).glob(pattern)) or sorted((root / folder).glob("test_*.py"))
        found |= {file.relative_to(root).as_posix() for file in files}
    return sorted(path for path in found if path == ALWAYS or not path.startswith(f"{ALWAYS}/"))


def _git(root: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "--numprocesses", "auto", *unit_tests_of(changed_files())]))
