"""Imports point one way, flows -> tasks -> emi_model, and each tool has its room."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "emi_model": {"tasks", "flows", "prefect", "ray", "duckdb", "pyarrow", "subprocess", "mlflow"},
    "tasks": {"flows", "prefect"},
    "flows": set(),
}
ORDER = {
    "emi_model": [
        {"arrays", "errors", "units", "targets", "devices", "loading", "modalities", "lanes"},
        {"audio", "metrics"},
        {"architecture"},
        {"engine"},
        {"predict", "embed"},
        {"attribution"},
        {"checkpoints"},
        {"training", "speed", "language"},
        {"reference"},
    ],
    "tasks": [
        {"home", "threads", "progress"},
        {"storage", "schema"},
        {"processes", "store", "registry"},
        {"corpus"},
        {"transcription"},
        {"extraction"},
        {"provenance", "synthetic"},
        {"cluster"},
        {"labels", "scoring", "embedding", "exports"},
        {"datasets", "metadata", "forgetting"},
        {"evaluation", "explaining", "asking"},
        {"training"},
        {"comparison"},
        {"ablation"},
        {"reports"},
        {"browsing"},
    ],
    "flows": [
        {"display"},
        {"server"},
        {"demo_kinds", "exclusive", "grid"},
        {
            "ablate",
            "bench",
            "compare",
            "demo",
            "evaluate",
            "process",
            "retrain",
            "train",
            "transcribe",
            "watch",
        },
        {"cli"},
    ],
}
"""Folders, and files beside them, of each package: one imports from those before it. Within a set
imports may go one way, never in a circle."""
HEAVY = {"ray", "prefect", "torch", "duckdb", "pyarrow", "rich", "mlflow", "matplotlib"}
PROGRAM_STARTERS = "tasks/processes/"


def modules(room):
    return sorted((ROOT / room).glob("**/*.py"))


@cache
def names_imported(path):
    """The full names of what a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported(path):
    """The top-level packages a file imports, anywhere in it."""
    return {name.partition(".")[0] for name in names_imported(path)}


def places_imported(path):
    """Which folders, or files beside them, of its own package a file imports from."""
    package, place = path.relative_to(ROOT).with_suffix("").parts[:2]
    parts = [name.split(".") for name in names_imported(path)]
    return {part[1] for part in parts if part[0] == package and len(part) > 1} - {place}


def arrows(room):
    """From each place of a package to the places that it imports from."""
    found = {}
    for path in modules(room):
        place = path.relative_to(ROOT).with_suffix("").parts[1]
        if place != "__init__":
            found.setdefault(place, set()).update(places_imported(path))
    return found


@pytest.mark.parametrize("room", ORDER)
def test_folders_import_only_from_those_before_them(room):
    rank = {place: number for number, places in enumerate(ORDER[room]) for place in places}
    found = arrows(room)
    assert found.keys() <= rank.keys()
    wrong = [
        (place, other)
        for place, others in found.items()
        for other in others
        if rank[other] > rank[place]
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ORDER)
def test_no_circle_of_imports_between_folders(room):
    TopologicalSorter(arrows(room)).prepare()  # raises CycleError


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_point_one_way(room):
    files = modules(room)
    assert files
    wrong = {str(path): imported(path) & FORBIDDEN[room] for path in files}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_outside_programs_are_started_in_one_folder():
    files = {
        str(path.relative_to(ROOT))
        for room in FORBIDDEN
        for path in modules(room)
        if "subprocess" in imported(path)
    }
    assert files
    assert [file for file in files if not file.startswith(PROGRAM_STARTERS)] == []


def test_the_model_is_usable_without_the_workflow():
    code = (
        "import gc, sys\n"
        "gc.disable()\n"  # a quarter less time to import
        "import emi_model.reference, emi_model.predict, emi_model.speed.__main__\n"
        "import emi_model.training.fit, emi_model.training.recipes\n"
        "print(sorted({'ray', 'prefect', 'duckdb', 'pyarrow', 'av', 'ffmpeg'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "modules", ["tasks.scoring.stages.extract_stage, tasks.scoring.stages.ledger", "flows.process"]
)
def test_decoders_and_a_run_itself_do_not_carry_pytorch(modules):
    code = f"import gc, sys; gc.disable(); import {modules}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_the_command_says_its_help_without_the_libraries():
    code = (
        "import sys\n"
        "from flows.cli.main import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith("[]")
    verbs = ["process", "score", "query", "labels", "train", "evaluate", "retrain", "models"]
    for verb in [*verbs, "bench", "up", "deploy"]:
        assert verb in found.stdout
