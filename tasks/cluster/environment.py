"""What the workers of a cluster get from here: settings, and this project's code if it is sent."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from emi_model.errors import ClusterError

SENT_VARIABLES = (
    "DO_NOT_TRACK",
    "EMI_BATCH_SECONDS",
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_TRACKING_URI",
    "OMP_WAIT_POLICY",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY",
)
"""Settings that workers on other machines get from here. No secrets: Ray shows them to everyone."""


@contextmanager
def worker_environment(wheel: str | None) -> Iterator[dict[str, Any]]:
    """Give Ray's ``runtime_env`` for the workers of a cluster; its files are there for the block.

    A job that was submitted to the cluster may have brought settings of its own: these stand.

    Args:
        wheel: file of this project's wheel; None: the nodes have the code.

    Raises:
        ClusterError: there is no such wheel.
    """
    submitted = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}")
    theirs: Mapping[str, Any] = submitted.get("runtime_env") or {}
    names = set(SENT_VARIABLES) - set(theirs.get("env_vars", ()))
    sent: dict[str, Any] = {
        "env_vars": {name: os.environ[name] for name in sorted(names) if name in os.environ}
    }
    with TemporaryDirectory(prefix="emi-wheel-") as folder:
        if wheel and "py_modules" not in theirs:
            sent["py_modules"] = _unpacked(wheel, Path(folder))
        yield sent


def _unpacked(wheel: str, folder: Path) -> list[str]:
    """Return the folders in a wheel: a wheel itself Ray installs with all that it depends on."""
    try:
        with zipfile.ZipFile(wheel) as content:
            content.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise ClusterError(
            f"{wheel}: no wheel that can be read ({error}): `make wheel` builds this project's"
        ) from error
    return sorted(str(path) for path in folder.iterdir())
