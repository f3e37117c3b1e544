"""The `emi` command in this process."""

import sys

import pytest

from flows import cli


@pytest.fixture
def emi(monkeypatch, capfd):
    """Run the command; returns exit code, stdout, stderr."""
    monkeypatch.delenv("EMI_MODEL", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["emi", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capfd.readouterr()

    return run
