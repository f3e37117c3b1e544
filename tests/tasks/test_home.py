from __future__ import annotations

from pathlib import Path

import pytest

from tasks.home import home


def test_it_is_below_the_users_home_unless_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("EMI_HOME", raising=False)
    assert home() == tmp_path / ".emi"
    monkeypatch.setenv("EMI_HOME", "")
    assert home() == tmp_path / ".emi"
    monkeypatch.setenv("EMI_HOME", "~/elsewhere")
    assert home() == tmp_path / "elsewhere"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMI_HOME", "here")
    assert home() == tmp_path / "here"
    assert list(tmp_path.iterdir()) == []
