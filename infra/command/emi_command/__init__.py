"""Starts the `emi` command with this project's packages, whatever else has their names.

A package of its own, as PYTHONPATH may lead to another module ``flows`` first. From there on
``flows`` itself finds the other packages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path

PACKAGE, COMMAND = "flows", "cli/main.py"


def main() -> None:
    """Run the command."""
    for spec in _found():
        if _is_ours(spec) and spec.loader is not None:
            sys.modules[PACKAGE] = module_from_spec(spec)
            spec.loader.exec_module(sys.modules[PACKAGE])
            break
    from flows.cli.main import main as command

    command()


def _found() -> Iterator[ModuleSpec]:
    """Yield all packages and modules of the name; those of an editable install come last."""
    places = (PathFinder.find_spec(PACKAGE, [place]) for place in sys.path)
    others = (
        finder.find_spec(PACKAGE, None) for finder in sys.meta_path if finder is not PathFinder
    )
    for specs in (places, others):
        yield from filter(None, specs)


def _is_ours(spec: ModuleSpec) -> bool:
    return any((Path(at) / COMMAND).is_file() for at in spec.submodule_search_locations or ())
