"""Prefect flows and the `emi` command."""

import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_OTHERS = ("emi_model", "tasks")


class _OwnPackages(MetaPathFinder):
    """Finds this project's other packages beside this one, whatever else has their names."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(_ROOT)]) if name in _OTHERS else None


for _name in _OTHERS:
    _loaded = getattr(sys.modules.get(_name), "__file__", None)
    if _name in sys.modules and (not _loaded or Path(_loaded).resolve().parents[1] != _ROOT):
        raise ImportError(
            f"found another module {_name!r} in use ({_loaded}), expected the one in {_ROOT}: "
            "import `flows` first, or rename the other module"
        )
sys.meta_path.insert(0, _OwnPackages())

# Prefect, Ray, MLflow and OpenMP read these variables when imported, so they are set first. The
# libraries send no usage reports. Ray does not send the current folder's files to its workers, as
# it does under `uv run`. Waiting threads sleep: if decoders or another program share
# the cores, threads that spin at a barrier make a step ten times slower (measured). By default
# oneDNN keeps 1,024 compiled shapes; every batch has its own shape, so memory would grow.
for _name, _value in {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
    "OMP_WAIT_POLICY": "passive",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}.items():
    os.environ.setdefault(_name, _value)

from tasks.processes.surroundings import shield_environment  # noqa: E402 - now it is ours

shield_environment()
