"""Media made by the real ffmpeg, and one process that reads headers for the whole session."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tasks.media import Extraction, Rejection, extract, find_ffmpeg
from tasks.probe import Prober


@pytest.fixture
def make_media(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a mono tone, with a moving picture if wanted.

    Its positional arguments are the file's name and ffmpeg's options behind these inputs.
    """

    def make(
        name: str,
        *options: str,
        seconds: float = 1.0,
        hertz: int = 440,
        sampling_rate: int = 16_000,
        picture_seconds: float = 0.0,
    ) -> Path:
        path = tmp_path / name
        tone = f"sine=frequency={hertz}:duration={seconds}:sample_rate={sampling_rate}"
        command = [find_ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
        command += ["-f", "lavfi", "-i", tone]
        if picture_seconds:
            picture = f"testsrc=size=64x64:rate=10:duration={picture_seconds}"
            command += ["-f", "lavfi", "-i", picture]
        subprocess.run([*command, *options, f"file:{path}"], check=True, timeout=60)
        return path

    return make


@pytest.fixture(scope="session")
def prober() -> Iterator[Prober]:
    """Return the session's reader of headers."""
    with Prober() as shared:
        yield shared


@pytest.fixture
def take(prober: Prober) -> Callable[..., Extraction]:
    """Return ``extract`` for a clip that must come out."""

    def extract_well(path: Path, max_seconds: float | None = 12.0) -> Extraction:
        found = extract(path, max_seconds=max_seconds, prober=prober)
        assert isinstance(found, Extraction), found
        return found

    return extract_well


@pytest.fixture
def reject(prober: Prober) -> Callable[[Path], Rejection]:
    """Return ``extract`` for a clip that must not; what it says of the clip is looked at, too."""

    def extract_badly(path: Path) -> Rejection:
        found = extract(path, max_seconds=12.0, prober=prober)
        assert isinstance(found, Rejection), found
        assert str(path.parent) not in found.detail
        assert found.detail and found.detail.isprintable() and len(found.detail) <= 300
        return found

    return extract_badly


@pytest.fixture
def wait_until_gone() -> Callable[[int], bool]:
    """Return a function that waits for the end of a process, and says whether it came."""

    def wait(pid: int) -> bool:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                # A zombie that nobody reaps yet is gone, too.
                if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                    return True
            except psutil.NoSuchProcess:
                return True
            time.sleep(0.01)
        return False

    return wait
