"""The page of boundaries names tests that there are, and the list of what is installed is made."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "infra" / "SECURITY.md").read_text(encoding="utf-8")
BOUNDARIES = (
    *("media", "names", "models", "label files", "manifests", "SQL", "pages", "buckets"),
    "other users of the machine",
)


def test_every_boundary_has_a_row_with_tests_that_exist():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
    for boundary in BOUNDARIES:
        assert any(row.startswith(f"| {boundary}") for row in rows), boundary
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, row
        for file, name in named:
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert name in found, f"{file}::{name}"


def test_the_list_of_what_is_installed_is_made_by_a_pinned_tool():
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nsbom:")[2]
    recipe = recipe.partition("\n\n")[0]
    assert re.search(r"'cyclonedx-bom==[\d.]+'", recipe)
    assert "--constraint constraints.txt" in recipe
    assert "build/sbom.json" in recipe
