"""Output of libraries goes to a log file; ours still reaches the terminal."""

import os
import subprocess
import sys

CODE = """
import os, sys
from pathlib import Path
from flows.display.terminal import message, redirect_output, terminal

assert terminal().log is None
redirect_output(Path("logs/verb.log"))
print("a library")
os.system("echo a child process")
print("a result", file=terminal().out)
message("a note")
print(terminal().log, file=terminal().out)
print("é が", file=terminal().out)
"""


def test_libraries_write_to_the_log_and_the_verb_to_the_terminal(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["PYTHONIOENCODING"] = "latin-1"
    command = [sys.executable, "-u", "-c", CODE]
    found = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, encoding="latin-1", check=True
    )
    assert found.stdout == "a result\nlogs/verb.log\né \\u304c\n"
    assert found.stderr == "emi: a note\n"
    log = (tmp_path / "logs" / "verb.log").read_text()
    assert sorted(log.splitlines()) == ["a child process", "a library"]
