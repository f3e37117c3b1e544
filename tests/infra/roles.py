"""Starts what the image is for, as its user: the command, Prefect's server, Ray's nodes."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

USER = 10001
START_SECONDS = 120.0

CLIPS = """
from pathlib import Path
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.architecture.model import EmiModel
from emi_model.training.recipes import demo
from tasks.synthetic.corpus import write_corpus
write_corpus(Path("clips"))
model = EmiModel(demo().model).eval()
save_checkpoint(Path("model"), model, ModelCard("check", model.config.targets))
"""

JOIN = """
import ray
ray.init(address="auto", log_to_driver=False)
nodes = [node for node in ray.nodes() if node["Alive"]]
assert len(nodes) == 2, nodes
assert ray.cluster_resources().get("CPU") == 1, ray.cluster_resources()
print(ray.get(ray.remote(lambda: "a task ran on the head")
    .options(num_cpus=1).remote()))
"""

Say = Callable[[str], None]


class Roles:
    """The image's user, in its home."""

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        """Make the two folders that the image writes to."""
        self.root = root
        self.home = root / "var/lib/emi"
        self.variables = {**variables, "TMPDIR": str(root / "tmp")}
        as_user = ["--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
        self._prefix = ["setpriv", *as_user] if os.geteuid() == 0 else []
        for folder in (self.home, root / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
            if self._prefix:
                os.chown(folder, USER, USER)

    def run(self, *command: str, **variables: str) -> str:
        """Run a command to its end; returns what it wrote."""
        finished = subprocess.run(
            [*self._prefix, *command],
            cwd=self.home,
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if finished.returncode:
            raise SystemExit(f"{command}: exit {finished.returncode}\n{finished.stderr[-4000:]}")
        return finished.stdout

    @contextmanager
    def service(self, *command: str, **variables: str) -> Iterator[None]:
        """Run a command for as long as the block lasts; SIGTERM must end it."""
        with (self.root / "tmp" / f"{Path(command[0]).name}.log").open("wb") as log:
            running = subprocess.Popen(
                [*self._prefix, *command],
                cwd=self.home,
                env={**self.variables, **variables},
                stdout=log,
                stderr=log,
            )
            try:
                yield
                assert running.poll() is None, f"{command} ended by itself"
            finally:
                running.terminate()
                try:
                    running.wait(60)
                except subprocess.TimeoutExpired:
                    running.kill()
                    raise


def check_roles(root: Path, variables: Mapping[str, str], say: Say) -> None:
    """Start every role of the image in turn."""
    roles = Roles(root, variables)
    for check in (_command, _prefect, _ray):
        started = time.perf_counter()
        result = check(roles)
        say(f"{time.perf_counter() - started:6.1f} s  {check.__name__[1:]}: {result}")


def _command(roles: Roles) -> str:
    assert "process" in roles.run("emi", "--help")
    roles.run("python", "-c", CLIPS)
    roles.run("emi", "process", "clips", "--results", "results", "--model", "model", "--limit", "8")
    sql = "SELECT count(*) AS rows FROM scores"
    rows = roles.run("emi", "query", sql, "--results", "results", "--format", "csv").split()[-1]
    assert rows == "8", rows
    shutil.rmtree(roles.home / "clips")
    return f"{roles.run('emi', '--version').strip()}, 8 clips processed from a read-only image"


def _prefect(roles: Roles) -> str:
    port, password = _free_port(), secrets.token_hex(8)
    address = f"http://127.0.0.1:{port}"
    with roles.service(
        *("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)),
        PREFECT_SERVER_API_AUTH_STRING=f"emi:{password}",
    ):
        _answers(f"{address}/api/health")
        assert _status(f"{address}/api/admin/version") == 401
        assert _status(f"{address}/api/admin/version", f"emi:{password}") == 200
        assert _status(f"{address}/") == 200, "the user interface is not served"
        listed = roles.run(
            *("prefect", "work-pool", "ls"),
            PREFECT_API_URL=f"{address}/api",
            PREFECT_API_AUTH_STRING=f"emi:{password}",
        )
        assert "No work pools" in listed, listed
    return "server with basic auth and its user interface"


def _ray(roles: Roles) -> str:
    head, agent, second, dashboard = (_free_port() for _ in range(4))
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    small = ["--object-store-memory", str(100 * 2**20), "--disable-usage-stats"]
    with roles.service(
        *("ray", "start", "--head", "--block", "--port", str(head), "--num-cpus", "1", *small),
        *("--node-ip-address", "127.0.0.1", "--temp-dir", f"{roles.root}/tmp/ray"),
        *("--dashboard-agent-listen-port", str(agent), "--dashboard-port", str(dashboard)),
        **token,
    ):
        _answers(f"http://127.0.0.1:{agent}/api/healthz")
        assert _status(f"http://127.0.0.1:{dashboard}/api/jobs/") == 401
        said = roles.run(
            *("bash", f"{roles.root}/usr/local/bin/driver", "python", "-c", JOIN),
            RAY_HEAD=f"127.0.0.1:{head}",
            RAY_AGENT_PORT=str(second),
            RAY_DRIVER_OBJECT_STORE_BYTES=str(100 * 2**20),
            **token,
        )
        assert "a task ran on the head" in said, said
    return "head with token auth; a driver joined it without cores and ran a task there"


def _answers(address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while _status(address) != 200:
        assert time.monotonic() < deadline, f"{address} did not answer"
        time.sleep(1)


def _status(address: str, login: str = "") -> int:
    asked = urllib.request.Request(address)
    if login:
        asked.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _free_port() -> int:
    with socket.socket() as open_socket:
        open_socket.bind(("127.0.0.1", 0))
        return int(open_socket.getsockname()[1])
