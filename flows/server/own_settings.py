"""Prefect's settings in the processes of the `emi` command: from the environment alone.

Prefect would also read ``.env``, ``prefect.toml`` and ``pyproject.toml`` of the current folder and
the active profile of the user: whose server they name would get all runs, and a file of logging
settings that they name can run code.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any

from tasks.processes.server_database import prefect_folder

if TYPE_CHECKING:
    from types import ModuleType

SETTINGS_MODULE = "prefect.settings.base"
FILE_SOURCES = (
    "FilteredDotEnvSettingsSource",
    "PrefectTomlConfigSettingsSource",
    "PyprojectTomlConfigSettingsSource",
    "ProfileSettingsTomlLoader",
)
"""Prefect's readers of files, by their names in `SETTINGS_MODULE`."""

TEMPORARY_SERVERS = ("PREFECT_SERVER_EPHEMERAL_ENABLED", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE")
OFF = ("0", "false", "f", "no", "n", "off")
"""How a variable of Prefect says no."""


def use_own_settings() -> None:
    """Let Prefect, which must not be imported yet, read its settings from the environment alone.

    Child processes start in other folders, and read no profile. Prefect's files go to `EMI_HOME`,
    unless the environment has ``PREFECT_HOME``.
    """
    if "PREFECT_HOME" not in os.environ:
        os.environ["PREFECT_HOME"] = _writable_home()
    os.environ["PREFECT_PROFILES_PATH"] = os.devnull
    os.environ.pop("PREFECT_PROFILE", None)
    if not any(name in os.environ for name in TEMPORARY_SERVERS):
        os.environ[TEMPORARY_SERVERS[0]] = "true"  # as Prefect's own profile has it
    if not any(isinstance(finder, _EnvironmentAlone) for finder in sys.meta_path):
        sys.meta_path.insert(0, _EnvironmentAlone())


def may_start_servers() -> bool:
    """Return whether the environment lets a flow without a server have a temporary one."""
    return not any(os.environ.get(name, "").lower() in OFF for name in TEMPORARY_SERVERS)


def _writable_home() -> str:
    folder = prefect_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return tempfile.gettempdir()  # Prefect writes nothing there in a run
    return str(folder)


class _EnvironmentAlone(MetaPathFinder):
    """Takes Prefect's readers of files away when its settings are imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != SETTINGS_MODULE:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_without_files(module: ModuleType) -> None:
            load(module)
            no_source = _no_source()
            for source in FILE_SOURCES:
                setattr(module, source, no_source)

        spec.loader.exec_module = load_without_files  # type: ignore[method-assign]
        return spec


def _no_source() -> type[Any]:
    """Return a source of settings that holds none."""
    from pydantic_settings import PydanticBaseSettingsSource

    class NoSource(PydanticBaseSettingsSource):
        def __init__(self, settings_cls: Any, **_: Any) -> None:
            super().__init__(settings_cls)

        def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
            return None, field_name, False

        def __call__(self) -> dict[str, Any]:
            return {}

    return NoSource
