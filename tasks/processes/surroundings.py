"""What of its surroundings a process of this project takes over: folder, Python's path, proxies.

Every process that is started here inherits the environment of this one, so it is put in order once,
before Prefect, Ray and MLflow are imported.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from tasks.home import home

ROOT = Path(__file__).resolve().parents[2]
"""Folder of this project's packages."""

OURS = ("emi_model", "flows", "tasks")
LOOPBACK = ("localhost", "127.0.0.1", "::1")

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
PATH_VARIABLES = (
    *("EMI_HOME", "EMI_SCRATCH", "EMI_WHEEL", "GOOGLE_APPLICATION_CREDENTIALS", "PREFECT_HOME"),
    *("RAY_TMPDIR", "TMPDIR"),
)
PATH_AFTER = {"EMI_FACES": "yunet:", "MLFLOW_TRACKING_URI": "sqlite:///"}
"""Variables that are a path where they begin so, after that beginning."""

NEUTRAL_FOLDER = "/"
"""Working directory of servers: only the machine's administrator could leave files there."""


def shield_environment() -> None:
    """Put this process's environment in order; children inherit it.

    - No child's Python searches the folder that it starts in.
    - This project's packages are found before others of their names on ``PYTHONPATH``.
    - Relative paths in variables become absolute, since children start in other folders.
    - Servers of this machine are reached without a proxy. A SOCKS proxy is left out where no client
      here can use it: they would not even start.
    - Without ``HOME`` and an entry in passwd, libraries take `EMI_HOME` for the home folder.
    """
    os.environ["PYTHONSAFEPATH"] = "1"
    _give_a_home()
    _make_paths_absolute()
    _order_python_path()
    _leave_out_socks()
    _reach_this_machine_directly()


@contextmanager
def in_folder(folder: str | Path) -> Iterator[None]:
    """Make another folder the current one in the block, for what reads files or starts processes.

    The current folder is that of all threads: none may use relative paths meanwhile.
    """
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _give_a_home() -> None:
    """Name home and user where the system has neither, as in containers with any user id."""
    try:
        Path.home()
    except RuntimeError:
        if os.environ.get("EMI_HOME"):
            os.environ["HOME"] = str(home())
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"uid-{os.getuid()}"


def _make_paths_absolute() -> None:
    for name in PATH_VARIABLES:
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).expanduser().absolute())
    for name, beginning in PATH_AFTER.items():
        path = os.environ.get(name, "").removeprefix(beginning)
        if path and path != os.environ[name]:
            os.environ[name] = f"{beginning}{Path(path).absolute()}"
    if os.sep in os.environ.get("EMI_FFMPEG", ""):  # a bare name is looked up on PATH
        os.environ["EMI_FFMPEG"] = str(Path(os.environ["EMI_FFMPEG"]).absolute())
    speech = os.environ.get("EMI_ASR")
    if speech and Path(speech).is_dir():  # else it is a hub's id
        os.environ["EMI_ASR"] = str(Path(speech).absolute())


def _order_python_path() -> None:
    """Take the empty entries, which mean the current folder, off Python's path; find ours first."""
    if not os.environ.get("PYTHONPATH"):
        return
    given = os.environ["PYTHONPATH"].split(os.pathsep)
    entries = [str(Path(entry).absolute()) for entry in given if entry]
    if "" in given:
        here = str(Path.cwd())
        sys.path[1:] = [entry for entry in sys.path[1:] if entry != here or here in entries]
    if any(_hides_ours(Path(entry)) for entry in entries):
        entries = [str(ROOT), *(entry for entry in entries if entry != str(ROOT))]
    os.environ["PYTHONPATH"] = os.pathsep.join(entries)  # empty, it counts as none


def _hides_ours(folder: Path) -> bool:
    """Return whether a folder holds other packages or modules by the names of ours."""
    return folder != ROOT and any(
        (folder / name).is_dir() or (folder / f"{name}.py").is_file() for name in OURS
    )


def _proxies() -> dict[str, str]:
    names = [*PROXY_VARIABLES, *map(str.upper, PROXY_VARIABLES)]
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _leave_out_socks() -> None:
    """Remove SOCKS proxies: without the package socksio httpx, Prefect's client, raises."""
    for name, proxy in _proxies().items():
        if urlsplit(proxy).scheme.startswith("socks") and find_spec("socksio") is None:
            del os.environ[name]


def _reach_this_machine_directly() -> None:
    if not _proxies():
        return
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    for name in ("no_proxy", "NO_PROXY"):  # libraries read one or the other
        hosts = [host.strip() for host in (os.environ.get(name) or given).split(",")]
        hosts += [host for host in LOOPBACK if host not in hosts]
        os.environ[name] = ",".join(filter(None, hosts))
