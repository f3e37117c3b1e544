"""What a shell asks the command: its version, and how a word may go on."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EMI = Path(sys.executable).parent / "emi"


def ask(**variables):
    found = subprocess.run(
        [EMI], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    return found.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed(shell):
    if_asked = "\n".join(ask(_EMI_COMPLETE=f"{shell}_source"))
    assert f"_EMI_COMPLETE={shell}_complete" in if_asked


def test_verbs_and_options_are_completed():
    verbs = ask(_EMI_COMPLETE="bash_complete", COMP_WORDS="emi sc", COMP_CWORD="1")
    assert sorted(verbs) == ["plain,schema", "plain,score"]
    words = {"COMP_WORDS": "emi process clips --cov", "COMP_CWORD": "3"}
    assert ask(_EMI_COMPLETE="bash_complete", **words) == ["plain,--coverage"]


def test_the_version_is_that_of_the_project(emi):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert emi("--version") == (0, f"emi, version {project['version']}\n", "")
