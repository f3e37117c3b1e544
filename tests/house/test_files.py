"""What the repository holds: the fixed top level, small files, nothing that does not belong."""

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {".ci", ".github", "emi_model", "flows", "infra", "tasks", "tests"}
FILES = {
    ".dockerignore",
    ".gitignore",
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "Makefile",
    "README.md",
    "constraints.txt",
    "pyproject.toml",
}
SUFFIXES = {
    *(".css", ".env", ".html", ".ipynb", ".js", ".md", ".png", ".py", ".sh", ".sql", ".svg"),
    *(".toml", ".txt", ".xz", ".yaml"),
}
NAMES = {"Dockerfile", "py.typed"}
DOORS = {"tasks/store/__init__.py"}
"""Folders from which a notebook imports: their ``__init__`` passes on a name, and loads it late."""
MAX_LINES = 300
MAX_BYTES = 100_000
MAX_GOLDEN_BYTES = 250_000
"""Of what an earlier version wrote, packed."""


def tracked():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [Path(name) for name in listed.stdout.split("\0") if name]


def test_the_top_level_is_as_fixed():
    names = {path.parts[0] for path in tracked()}
    assert names <= FOLDERS | FILES
    assert {"emi_model", "flows", "infra", "tasks", "tests", "pyproject.toml"} <= names


def test_nothing_is_tracked_that_should_not_be():
    odd = [
        str(path)
        for path in tracked()
        if len(path.parts) > 1
        and path.parts[0] != ".ci"
        and path.suffix not in SUFFIXES
        and path.name not in NAMES
    ]
    assert odd == []
    large = [
        str(path)
        for path in tracked()
        if (ROOT / path).stat().st_size
        > (MAX_GOLDEN_BYTES if path.parts[:2] == ("tests", "golden") else MAX_BYTES)
    ]
    assert large == []


def test_python_files_are_small():
    long = {
        str(path): count
        for path in tracked()
        if path.suffix == ".py"
        and (count := len((ROOT / path).read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert long == {}


def test_folders_hold_three_to_thirteen_files():
    counts = Counter(
        path.parent.as_posix()
        for path in tracked()
        if path.parts[0] in ("emi_model", "tasks", "flows")
        and path.suffix in (".py", ".sql")
        and path.name != "__init__.py"
    )
    assert {folder: count for folder, count in counts.items() if not 3 <= count <= 13} == {}


def test_a_folders_init_holds_its_docstring_and_nothing_else():
    for path in tracked():
        if path.name == "__init__.py" and path.parts[0] in ("emi_model", "tasks", "flows"):
            body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
            assert ast.get_docstring(ast.Module(body, []))
            if len(path.parts) > 2:
                more = [getattr(node, "name", None) for node in body[1:]]
                assert more == (["__getattr__"] if path.as_posix() in DOORS else []), path


def test_tests_mirror_the_source():
    """A test file stands below the folder of what it tests; conftest and helpers beside them."""
    folders = {path.parent for path in tracked() if path.suffix == ".py"}
    for path in tracked():
        if path.parts[0] == "tests" and path.name.startswith("test_"):
            below = path.parent.relative_to("tests")
            if below.parts[0] in ("emi_model", "tasks", "flows"):
                assert below in folders, path


def test_everything_installed_is_pinned_exactly():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 100
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.]*", line)] == []


def test_the_version_stands_once():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (version,) = re.findall(r'^version = "(.+)"$', project, re.MULTILINE)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## Unreleased" in changelog or f"## {version}" in changelog
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [version]
    code = [path for path in tracked() if path.parts[0] in {"emi_model", "flows", "tasks"}]
    sources = [(ROOT / path).read_text(encoding="utf-8") for path in code if path.suffix == ".py"]
    assert [source for source in sources if f'"{version}"' in source] == []
