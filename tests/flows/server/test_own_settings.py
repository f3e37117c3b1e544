"""Whose settings Prefect takes: shown with files that name a server, in a folder and in a home."""

import os
import subprocess
import sys

import pytest

from tasks.processes.surroundings import ROOT

NAMED = "http://stranger.invalid/api"
CODE = """
from flows.server.own_settings import use_own_settings
use_own_settings()
from prefect.settings import PREFECT_API_URL, Settings, get_current_settings, temporary_settings
found = [get_current_settings(), Settings(), get_current_settings().copy_with_update()]
for settings in found:
    print(settings.api.url, settings.logging.level, settings.server.ephemeral.enabled)
with temporary_settings({PREFECT_API_URL: "http://a/api"}):
    print(PREFECT_API_URL.value())
"""
FILES = {
    ".env": f"PREFECT_API_URL={NAMED}\nPREFECT_LOGGING_LEVEL=CRITICAL\n",
    "prefect.toml": f'[api]\nurl = "{NAMED}"\n[logging]\nlevel = "CRITICAL"\n',
    "pyproject.toml": f'[tool.prefect]\napi.url = "{NAMED}"\nlogging.level = "CRITICAL"\n',
    ".prefect/profiles.toml": (
        f'active = "theirs"\n[profiles.theirs]\nPREFECT_API_URL = "{NAMED}"\n'
        'PREFECT_LOGGING_LEVEL = "CRITICAL"\n'
    ),
}


@pytest.fixture
def run(tmp_path):
    """Run code in a folder with all the files, which is the home, too; returns the lines."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)

    def run(code, **variables):
        kept = {name: os.environ[name] for name in os.environ if not name.startswith("PREFECT")}
        own = {"HOME": str(tmp_path), "EMI_HOME": str(tmp_path / "emi"), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=kept | own | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def test_files_of_the_folder_and_the_home_name_no_server(run, tmp_path):
    assert run(CODE) == ["None INFO True"] * 3 + ["http://a/api"]
    made = {path.name for path in tmp_path.iterdir()} - {name.split("/")[0] for name in FILES}
    assert made == {"emi"}


def test_the_environment_does(run):
    own = {"PREFECT_API_URL": "http://mine/api", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}
    lines = run(CODE, **own, PREFECT_PROFILE="theirs")
    assert lines == ["http://mine/api INFO False"] * 3 + ["http://a/api"]
