"""Runs the `emi` command in this process."""

import sys

import pytest

from flows.cli import main


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    """Keep tests away from the developer's own Prefect server."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(main, "use_running_server", lambda: None)


@pytest.fixture
def emi(monkeypatch, capfd):
    """Return a function that runs the command and returns exit code, stdout, stderr."""
    monkeypatch.delenv("EMI_MODEL", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["emi", *map(str, arguments)])
        try:
            main.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capfd.readouterr()

    return run
