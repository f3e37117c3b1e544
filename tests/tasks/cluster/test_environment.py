from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from emi_model.errors import ClusterError
from tasks.cluster.environment import SENT_VARIABLES, worker_environment


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing in the environment that could be sent."""
    for name in (*SENT_VARIABLES, "RAY_JOB_CONFIG_JSON_ENV_VAR"):
        monkeypatch.delenv(name, raising=False)


def test_workers_get_settings_but_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMI_BATCH_SECONDS", "48")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    with worker_environment(None) as sent:
        assert sent == {"env_vars": {"EMI_BATCH_SECONDS": "48"}}


def test_a_submitted_job_keeps_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    theirs = {"env_vars": {"EMI_BATCH_SECONDS": "12"}, "py_modules": ["gcs://theirs.zip"]}
    job = {"runtime_env": theirs, "metadata": {}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    monkeypatch.setenv("EMI_BATCH_SECONDS", "48")
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    with worker_environment(str(tmp_path / "ours.whl")) as sent:
        assert sent == {"env_vars": {"OMP_WAIT_POLICY": "passive"}}


def test_a_wheel_is_sent_as_the_folders_in_it(tmp_path: Path) -> None:
    path = tmp_path / "emi_workflow-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tasks/__init__.py", "")
        wheel.writestr("emi_workflow-1.dist-info/METADATA", "Version: 1")
    with worker_environment(str(path)) as sent:
        folders = [Path(folder) for folder in sent["py_modules"]]
        assert [folder.name for folder in folders] == ["emi_workflow-1.dist-info", "tasks"]
        assert (folders[1] / "__init__.py").is_file()
    assert not folders[0].exists()


def test_no_wheel(tmp_path: Path) -> None:
    text = tmp_path / "notes.whl"
    text.write_text("no wheel")
    for path in (text, tmp_path / "absent.whl"):
        with (
            pytest.raises(ClusterError, match="no wheel that can be read"),
            worker_environment(str(path)),
        ):
            pass
