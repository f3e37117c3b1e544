"""Names of others on a terminal: as they are, but obeyed by nobody."""

import io
import re
import sys
from pathlib import Path

import pytest

from flows.display.text import printable, say, write_any_letter


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[joy] 01.wav", "[joy] 01.wav"),
        ("Zoë がぎ 🙂.wav", "Zoë がぎ 🙂.wav"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x9b2J", r"\x9b2J"),
        ("evil\u202egpj.wav", r"evil\u202egpj.wav"),
        ("a\u2028b", r"a\u2028b"),
        ("\udcff.wav", r"\udcff.wav"),
        ("e\u0301", "e\u0301"),
    ],
)
def test_control_characters_are_spelled_out(text, shown):
    assert printable(text) == shown


def test_lines_stay_lines():
    out = io.StringIO()
    say("one\n\ttwo\x1b[0m\rthree", out)
    assert out.getvalue() == "one\n\ttwo\\x1b[0m\\rthree\n"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("latin-1", "é \\u304c"), ("ascii", "\\xe9 \\u304c"), ("utf-8", "é が")],
)
def test_letters_that_a_terminal_lacks_are_spelled_out(encoding, shown, monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    write_any_letter()
    say("é が")
    say("\udcff", sys.stderr)
    sys.stderr.flush()
    assert sys.stdout.buffer.getvalue().decode(encoding) == f"{shown}\n"
    assert sys.stderr.buffer.getvalue() == b"\\udcff\n"


def test_nothing_else_writes_to_the_terminal():
    flows = Path(__file__).parents[3] / "flows"
    other = re.compile(r"click\.s?echo\(|\bConsole\(|from_markup|(?<!\.)\bprint\(")
    for path in flows.rglob("*.py"):
        found = other.findall(path.read_text(encoding="utf-8").replace("PlainConsole(", ""))
        assert path.name in ("text.py", "console.py") or not found, path
