"""A flow without a server takes the one that was begun beside its imports, or another."""

import os
import subprocess
import sys

import pytest

FLOW = """
import sys
import flows.server.prestart
from tasks.processes.temporary_server import TemporaryServer

begun = []
class Kept(TemporaryServer):
    def __init__(self, **how):
        super().__init__(**how)
        begun.append(self)
flows.server.prestart.TemporaryServer = Kept

joined = flows.server.prestart.temporary_server()
{between}
joined.join()
from prefect import flow
from prefect.client.orchestration import get_client

@flow
def answer():
    return 42

assert answer() == 42
with get_client(sync_client=True) as client:
    assert [run.state_name for run in client.read_flow_runs()] == ["Completed"]
    assert str(client.api_url).rstrip("/") == begun[-1].api_url
assert "prefect.server.api.server" not in sys.modules, "it takes as long to load as Prefect"
print(*(server.process.pid for server in begun))
"""


def run(tmp_path, between=""):
    code = FLOW.format(between=between)
    unset = ("PREFECT_API_URL", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    home = {"PREFECT_HOME": str(tmp_path / "prefect")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | home,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    pids = [*map(int, done.stdout.splitlines()[-1].split())]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    return len(pids)


def test_the_flow_takes_the_server_that_was_begun(tmp_path):
    assert run(tmp_path) == 1


def test_the_flow_takes_one_with_a_new_database_where_that_one_ends(tmp_path):
    assert run(tmp_path, between="begun[0].process.kill()") == 2
