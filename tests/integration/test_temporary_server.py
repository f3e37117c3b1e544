"""A flow without a server takes the one that was begun beside its imports, or starts another."""

import os
import subprocess
import sys

import pytest

FLOW = """
import flows.server.prestart
from tasks.processes.temporary_server import TemporaryServer

begun = []
class Kept(TemporaryServer):
    def __init__(self):
        super().__init__()
        begun.append(self)
flows.server.prestart.TemporaryServer = Kept

joined = flows.server.prestart.temporary_server()
{between}
joined.join()
from prefect import flow
from prefect.server.api.server import SubprocessASGIServer

@flow
def answer():
    return 42

assert answer() == 42
server = SubprocessASGIServer()
print(server.port, server.server_process.pid, begun[0].port, begun[0].process.pid)
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
    taken_port, taken_pid, begun_port, begun_pid = map(int, done.stdout.split()[-4:])
    for pid in (taken_pid, begun_pid):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    return (taken_port, taken_pid) == (begun_port, begun_pid)


def test_the_flow_takes_the_server_that_was_begun(tmp_path):
    assert run(tmp_path)


def test_the_flow_starts_its_own_where_that_one_ends(tmp_path):
    assert not run(tmp_path, between="begun[0].process.kill()")
