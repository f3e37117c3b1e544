"""What this process sends a cluster's workers: settings, and this project's code as a wheel."""

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
    "EMI_PLUGINS",
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_TRACKING_URI",
    "OMP_WAIT_POLICY",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY",
)
"""Settings that workers on other machines get. No secrets: Ray shows them to everyone."""


@contextmanager
def worker_environment(wheel: str | None) -> Iterator[dict[str, Any]]:
    """Yield Ray's ``runtime_env`` for a cluster's workers; its files are removed after the block.

    Settings that a submitted job (`ray job submit`) brings itself are left as they are.

    Args:
        wheel: file of this project's wheel; None: the nodes have the code already.

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
    """Unpack a wheel; Ray would install a wheel itself together with all its dependencies."""
    try:
        with zipfile.ZipFile(wheel) as content:
            content.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise ClusterError(
            f"{wheel}: no wheel that can be read ({error}): `make wheel` builds this project's"
        ) from error
    return sorted(str(path) for path in folder.iterdir())
