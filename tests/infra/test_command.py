"""The command's start: it finds this project's `flows` where PYTHONPATH leads to another first."""

import os
import subprocess
import sys

import pytest

from tasks.processes.surroundings import OURS, ROOT

START = "import sys; from emi_command import main; sys.argv[0] = 'emi'; main()"


@pytest.mark.parametrize("named", ["{name}.py", "{name}/__init__.py", "{name}/notes.txt"])
def test_other_modules_of_our_names_are_passed_over(tmp_path, named):
    for name in OURS:
        (tmp_path / named.format(name=name)).parent.mkdir(exist_ok=True)
        (tmp_path / named.format(name=name)).write_text("raise SystemExit('not ours')\n")
    path = os.pathsep.join(map(str, (tmp_path, ROOT / "infra/command", ROOT)))
    found = subprocess.run(
        [sys.executable, "-P", "-c", START, "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "Turn a corpus of videos into a table" in found.stdout
