from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from emi_model.errors import ClusterError
from tasks.cluster.private import (
    MAX_BASE_CHARS,
    private_surroundings,
    remove_left,
    short_folder,
    started_in,
)


@pytest.fixture
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name no folder for Ray, and no token."""
    for name in ("RAY_TMPDIR", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


def test_a_long_temporary_folder_is_passed_over(
    no_choice: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert len(short_folder()) <= MAX_BASE_CHARS
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    assert short_folder() == "/tmp"


@pytest.mark.parametrize("place", ["/dev/null", "/" + "x" * MAX_BASE_CHARS])
def test_a_folder_that_was_named_and_does_not_fit_is_an_error(
    no_choice: None, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", place)
    with pytest.raises(ClusterError, match=f"among {place}, expected .* set RAY_TMPDIR"):
        short_folder()


def test_the_folder_is_the_users_alone_and_nothing_stays(no_choice: None) -> None:
    before = dict(os.environ)
    with private_surroundings() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert not folder.exists()
    assert dict(os.environ) == before


def test_what_a_killed_process_left_is_removed_later(
    no_choice: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tasks.cluster.private.short_folder", lambda: str(tmp_path))
    others = tmp_path / "emi-ray-others"
    others.mkdir()
    with private_surroundings() as running, private_surroundings() as killed:
        kept = shutil.copytree(killed, tmp_path / "emi-ray-young")
        old = shutil.copytree(killed, tmp_path / "emi-ray-old")
        for folder in (running, old, others):
            os.utime(folder, (0, 0))
        remove_left(tmp_path)
        assert set(tmp_path.iterdir()) == {running, killed, kept, others}


def test_logs_stay_if_ray_fails(no_choice: None) -> None:
    with pytest.raises(ClusterError), private_surroundings() as folder:
        raise ClusterError("Ray did not start")
    shutil.rmtree(folder)
    with pytest.raises(KeyboardInterrupt), private_surroundings() as folder:
        raise KeyboardInterrupt
    assert not folder.exists()


def test_a_token_of_the_users_holds(no_choice: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine" * 16)
    with private_surroundings():
        assert os.environ["RAY_AUTH_TOKEN"] == "mine" * 16


def test_ray_starts_in_another_folder(tmp_path: Path) -> None:
    before = Path.cwd()
    assert started_in(tmp_path, Path.cwd) == tmp_path
    with pytest.raises(ZeroDivisionError):
        started_in(tmp_path, lambda: 1 / 0)
    assert Path.cwd() == before
