"""A running `emi up`, for tests of what it does."""

import json
import time
import urllib.request
from urllib.error import HTTPError

import pytest


class Site:
    """A running `emi up`, and what it works on."""

    def __init__(self, folder, process):
        self.corpus, self.results, self.labels = (
            str(folder / name) for name in ("clips", "results", "labels")
        )
        self.home = folder / "home"
        self.process = process
        self.shown = []

    def start(self):
        """Wait until it shows where its UI is; what it shows is kept."""
        for line in self.process.stdout:
            self.shown.append(line.rstrip())
            if line.startswith("Prefect's UI: "):
                self.url = line.split()[2]
                return
        pytest.fail(self.process.stderr.read())

    def api(self, path, body):
        request = urllib.request.Request(
            f"{self.url}/api{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        for _ in range(5):  # as Prefect's own client: SQLite may be busy
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    return json.load(response)
            except HTTPError as error:
                error.close()
                if error.code != 503:
                    raise
                time.sleep(1)
            except TimeoutError:  # busier still: it answers the next call, or not in five
                time.sleep(1)
        pytest.fail("the server stays busy")

    def events(self, name):
        """The payloads of all events of a name, with the resource that each is about."""
        wanted = {"event": {"name": [name]}}
        found = self.api("/events/filter", {"filter": wanted, "limit": 50})["events"]
        return [(one["resource"]["prefect.resource.id"], one["payload"]) for one in found]

    def run_of(self, deployment, state="Completed"):
        """The first run of a deployment that is in a state, if there is one."""
        flow, name = ({"name": {"any_": [part]}} for part in deployment.split("/"))
        wanted = {"flows": flow, "deployments": name, "sort": "EXPECTED_START_TIME_ASC"}
        runs = self.api("/flow_runs/filter", wanted)
        ended = [run for run in runs if run["state_name"] in ("Failed", "Crashed")]
        assert ended == [], ended
        return next((run for run in runs if run["state_name"] == state), None)

    def artifacts_of(self, run):
        wanted = {"flow_run_id": {"any_": [run["id"]]}}
        return self.api("/artifacts/filter", {"artifacts": wanted, "limit": 20})
