"""A public name stands in one module of the whole project."""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ALLOWED = {
    "main",  # what `emi`, ``python -m emi_model.speed`` and the guard's own process start with
}


def is_command(node):
    """A function that click calls: the user types its name, so it is not chosen for the code."""
    decorators = [ast.unparse(decorator) for decorator in getattr(node, "decorator_list", ())]
    return any(re.match(r"\w+\.(command|group)\(", decorator) for decorator in decorators)


def names_of(node):
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [] if is_command(node) else [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [part.id for at in targets for part in ast.walk(at) if isinstance(part, ast.Name)]
    return []


def public_names(path):
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {name for node in body for name in names_of(node) if not name.startswith("_")}


def test_a_public_name_stands_in_one_module():
    modules = defaultdict(list)
    for room in ("emi_model", "tasks", "flows"):
        for path in sorted((ROOT / room).glob("**/*.py")):
            for name in public_names(path):
                modules[name].append(str(path.relative_to(ROOT)))
    assert len(modules) > 1000
    several = {name: paths for name, paths in modules.items() if len(paths) > 1}
    assert set(several) == ALLOWED, several


def test_the_names_of_a_module_are_found(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import os\nA, B = 1, 2\nC: int = 3\n_D = 4\n"
        "class E:\n    F = 5\n"
        "def g(h):\n    i = 6\n"
        "@click.command()\ndef j(): ...\n"
        "@models.command()\n@click.option('--l')\ndef l(): ...\n"
        "async def k(): ...\n"
    )
    assert public_names(path) == {"A", "B", "C", "E", "g", "k"}
