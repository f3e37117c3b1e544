"""Where a result comes from: the id of a run, the versions of what made it, the commit."""

from __future__ import annotations

import platform
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

from tasks.extraction.ffmpeg import ffmpeg_version

PACKAGES = {
    "emi": "emi-workflow",
    "torch": "torch",
    "transformers": "transformers",
    "ray": "ray",
    "prefect": "prefect",
    "pyarrow": "pyarrow",
}

_version = cache(version)  # else it searches the installed packages, 10 ms each


def new_run_id() -> str:
    """Return an id that sorts by time: UTC to 1/4096 s (three digits) and six random digits."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%SZ}-{now.microsecond * 4096 // 10**6:03x}{secrets.token_hex(3)}"


def package_versions() -> Mapping[str, str]:
    """Return the versions of what a score depends on."""
    packages = {name: _version(package) for name, package in PACKAGES.items()}
    return {**packages, "python": platform.python_version(), "ffmpeg": ffmpeg_version()}


def source_commit() -> str | None:
    """Return the git commit of this project if it runs from a checkout, read without git."""
    folder = Path(__file__).resolve().parent.parent / ".git"
    try:
        head = (folder / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        loose = folder / name
        if loose.is_file():
            return loose.read_text(encoding="utf-8").strip()
        packed = (folder / "packed-refs").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)


def code_version() -> str:
    """Return the version of this project that this process runs."""
    return _version("emi-workflow")
