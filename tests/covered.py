"""Counts the lines and branches of the sources that tests run: `pytest -p tests.covered`.

On Python 3.11 coverage.py is called at every line of every library, too: the unit tests took 40 %
longer with it. SlipCover's counters stand in the compiled code of the sources alone.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
import slipcover
from slipcover.branch import preinstrument

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("emi_model", "tasks", "flows")
LEAST_PERCENT = 90
NEVER = 2**30
"""Hits after which a counter would be taken out of functions that are running."""

counters = slipcover.Slipcover(
    branch=True, d_miss_threshold=NEVER, source=[str(ROOT / room) for room in ROOMS]
)
of_workers: list[dict[str, Any]] = []


class CountedLoader(SourceFileLoader):
    """Compiles a module with counters in it."""

    def get_code(self, fullname: str) -> CodeType:
        tree = preinstrument(ast.parse(self.get_data(self.path)))
        code: CodeType = counters.instrument(compile(tree, self.path, "exec", dont_inherit=True))
        return code


class CountedFinder:
    """Finds the modules of the sources."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] not in ROOMS:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.origin and Path(spec.origin).is_relative_to(ROOT):
            spec.loader = CountedLoader(name, spec.origin)
        return spec


sys.meta_path.insert(0, CountedFinder)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep what a process of pytest-xdist has counted."""
    written = getattr(node, "workeroutput", {}).get("covered")
    if written:
        of_workers.append(json.loads(written))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send what was counted here to the process that sums up, or sum up."""
    found = counters.get_coverage()
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["covered"] = json.dumps(found)
        return
    for other in of_workers:
        slipcover.merge_coverage(found, other)
    session.config.stash[COVERED] = found
    if found["summary"]["percent_covered"] < LEAST_PERCENT and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


COVERED = pytest.StashKey[dict[str, Any]]()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show what no test runs, and how much is run."""
    found = config.stash[COVERED]
    slipcover.print_coverage(found, outfile=terminalreporter, skip_covered=True)
    percent = found["summary"]["percent_covered"]
    expected = f"at least {LEAST_PERCENT} % expected"
    terminalreporter.line(f"{percent:.1f} % of lines and branches are run, {expected}")
