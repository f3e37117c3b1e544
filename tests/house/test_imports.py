"""Imports point one way, flows -> tasks -> emi_model, and each tool has its room."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "emi_model": {"tasks", "flows", "prefect", "ray", "duckdb", "pyarrow", "subprocess", "mlflow"},
    "tasks": {"flows", "prefect"},
    "flows": set(),
}
HEAVY = {"ray", "prefect", "torch", "duckdb", "pyarrow", "rich", "mlflow", "matplotlib"}
SUBPROCESS_FILES = {
    "tasks/processes/guard.py",
    "tasks/extraction/headers.py",
    "tasks/processes/bounded.py",
    "tasks/processes/prefect_server.py",  # Prefect's server, beside `emi up`
    "tasks/processes/temporary_server.py",  # and beside a flow without one
}


def modules(room):
    return sorted((ROOT / room).glob("**/*.py"))


def imported(path):
    """The top-level packages a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_point_one_way(room):
    files = modules(room)
    assert files
    wrong = {str(path): imported(path) & FORBIDDEN[room] for path in files}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_outside_programs_are_started_in_few_places():
    files = {
        str(path.relative_to(ROOT))
        for room in FORBIDDEN
        for path in modules(room)
        if "subprocess" in imported(path)
    }
    assert files == SUBPROCESS_FILES


def test_the_model_is_usable_without_the_workflow():
    code = (
        "import sys\n"
        "import emi_model.reference, emi_model.predict, emi_model.speed.__main__\n"
        "import emi_model.training.fit, emi_model.training.recipes\n"
        "print(sorted({'ray', 'prefect', 'duckdb', 'pyarrow', 'av', 'ffmpeg'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "modules", ["tasks.scoring.extract_stage, tasks.scoring.ledger", "flows.process"]
)
def test_decoders_and_a_run_itself_do_not_carry_pytorch(modules):
    code = f"import sys, {modules}; print('torch' in sys.modules)"
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
