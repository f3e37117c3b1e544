"""`emi up`: what starts by itself on one machine, and by whose word; a real server on loopback.

While the runs go on one after the other, the tests further up look at what needs none of them.
"""

import asyncio
import json
import os
import shutil
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Running

from emi_model.errors import LabelError
from flows.server.events import COMMITTED, CORPUS_CHANGED, LABELS_ADDED, MODEL_PROMOTED
from flows.server.registration import begin_again
from flows.watch import watch
from tasks.labels import inbox
from tasks.store.query import answer
from tasks.synthetic.corpus import write_corpus
from tests.integration.served_site import Site

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

NUM_CLIPS, NUM_BROKEN = 12, 6
STARTS_IN = timedelta(seconds=30)
"""From the command to the first scan; where the server is not up by then, a minute more."""


def soon():
    """A cron, to the second, of a few minutes from now on."""
    at = datetime.now(UTC) + STARTS_IN
    minutes = ",".join(f"{at + timedelta(minutes=number):%-M}" for number in range(5))
    return f"{minutes} * * * * {at.second}"


def wait_for(condition, seconds=240.0):
    """Wait until a condition holds; returns what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.3)
    return found


@pytest.fixture(scope="module")
def homes(tmp_path_factory, mlflow_database, prefect_database):
    """A folder with a home of its own below."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "home" / "prefect").mkdir(parents=True)
    shutil.copy(mlflow_database, folder / "home")
    shutil.copy(prefect_database, folder / "home" / "prefect" / "prefect.db")
    return folder


@pytest.fixture(scope="module")
def own(homes):
    """The environment in which commands find this home and no other server, and few clips Ray."""
    home = homes / "home"
    return {
        "EMI_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "EMI_MODEL": "",
        "EMI_FEW_CLIPS": "0",
    }


@pytest.fixture(scope="module")
def site(homes, own, launch, emi, model):
    """The site, up, with a scan to come and with labels that were just added."""
    write_corpus(homes / "clips", num_clips=NUM_CLIPS, num_speakers=6)
    process = launch(
        *("up", "--corpus", homes / "clips", "--results", homes / "results"),
        *("--labels", homes / "labels", "--model", model, "--recipe", "debug"),
        *("--cron", soon(), "--timezone", "UTC"),
        *("--debounce", 2, "--port", 0),
        **own,
    )
    site = Site(homes, process)
    site.start()
    labels = homes / "clips" / "labels.csv"
    code, _, err = emi(
        "labels", "add", labels, "--corpus", site.corpus, "--store", site.labels, **own
    )
    assert code == 0, err
    return site


@pytest.fixture
def talking_to(site, monkeypatch):
    """Let this process talk to the site's server."""
    monkeypatch.setenv("PREFECT_API_URL", f"{site.url}/api")
    with temporary_settings({PREFECT_API_URL: f"{site.url}/api"}):
        yield
        # else this process would ask that server, which then is gone, about later flows: minutes
        EventsWorker.drain_all(at_exit=False)


def test_a_run_that_a_user_was_cancelling_does_not_begin_again(prefect_server):
    async def states():
        async with get_client() as client:
            flow = await client.create_flow_from_name("a flow")
            deployment = await client.create_deployment(flow, "on an event")
            runs = []
            for states_of_one in ([Running()], [Running(), Cancelling()]):
                run = await client.create_flow_run_from_deployment(deployment)
                for state in states_of_one:
                    await client.set_flow_run_state(run.id, state)
                runs.append(await client.read_flow_run(run.id))
            await begin_again(client, runs, {"a flow/on an event"})
            wanted = DeploymentFilter.model_validate({"id": {"any_": [deployment]}})
            found = await client.read_flow_runs(deployment_filter=wanted)
            await client.delete_deployment(deployment)
            return sorted(run.state_name for run in found)

    with temporary_settings({PREFECT_API_URL: prefect_server[0]}):
        assert asyncio.run(states()) == ["Cancelling", "Running", "Scheduled"]


def test_it_says_what_it_runs_and_when(site):
    text = "\n".join(site.shown)
    assert "process-corpus/nightly" in text
    assert "(UTC)" in text
    assert "retrain/on-labels             on emi.labels.added" in text
    assert "watch" not in text
    assert site.url.startswith("http://127.0.0.1:")
    note = json.loads((site.home / "server.json").read_text())
    assert (note["url"], note["pid"]) == (site.url, site.process.pid)


def test_one_is_enough(site, emi, own):
    code, out, err = emi("up", "--corpus", site.corpus, "--results", site.results, **own)
    assert (code, out) == (2, "")
    assert f"runs already: {site.url}" in err


def test_a_second_site_is_registered_for_workers(site, emi, own):
    code, out, err = emi(
        *("deploy", "--api-url", f"{site.url}/api", "--suffix", "two", "--pool", "lab"),
        *("--corpus", "s3://lab/clips", "--results", "s3://lab/results", "--name", "other"),
        **own,
    )
    assert code == 0, err
    assert "registered process-corpus/nightly-two" in out
    assert "prefect worker start --pool lab" in out
    (found,) = site.api("/deployments/filter", {"deployments": {"name": {"any_": ["nightly-two"]}}})
    assert found["work_pool_name"] == "lab"
    assert found["parameters"]["results"] == "s3://lab/results"
    assert found["parameters"]["model"] == "models:/other@champion"
    assert [at["schedule"]["cron"] for at in found["schedules"]] == ["15 2 * * *"]
    assert found["pull_steps"] == []
    (pool,) = site.api("/work_pools/filter", {"work_pools": {"name": {"any_": ["lab"]}}})
    assert pool["type"] == "process"


def test_a_watch_tells_of_new_clips_and_takes_new_labels(site, talking_to, tmp_path, monkeypatch):
    monkeypatch.setattr(inbox, "PAUSE_SECONDS", 0.0)
    box, store, results = (tmp_path / name for name in ("inbox", "labels", "results"))
    box.mkdir()
    shutil.copy(f"{site.corpus}/labels.csv", box / "good.csv")
    (box / "bad.csv").write_text("joy\n1\n")
    hour_ago = time.time() - 3600
    for path in [*Path(site.corpus).rglob("*.*"), *box.iterdir()]:
        os.utime(path, (hour_ago, hour_ago))

    def look():
        return watch(site.corpus, str(results), label_inbox=str(box), labels=str(store))

    with pytest.raises(LabelError, match=r"label files were refused: bad\.csv"):
        look()  # all else is done
    assert (box / "bad.csv.refused.txt").exists()
    failed = site.api("/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["FAILED"]}}}})
    assert "bad.csv" in failed[0]["state"]["message"]
    found = look()
    assert (found["num_new"], found["label_files"]) == (NUM_CLIPS + NUM_BROKEN, [])
    told = wait_for(lambda: len(site.events(CORPUS_CHANGED)) == 2 and site.events(CORPUS_CHANGED))
    assert {resource for resource, _ in told} == {f"emi.store.{results}"}
    added = [payload for resource, payload in site.events(LABELS_ADDED) if str(store) in resource]
    assert [payload["number"] for payload in added] == [1]


def test_a_scheduled_scan_commits(site, model):
    run = wait_for(lambda: site.run_of("process-corpus/nightly"))
    assert run["name"] == f"clips with {model.name}"
    assert run["auto_scheduled"]
    rows = answer(site.results, "SELECT state, num_scored, num_rejected FROM runs").to_pylist()
    assert rows[0] == {"state": "completed", "num_scored": NUM_CLIPS, "num_rejected": NUM_BROKEN}


def test_labels_lead_to_a_decision(site):
    run = wait_for(lambda: site.run_of("retrain/on-labels"))
    assert run["name"] == "emi on labels"
    resource = f"emi.store.{site.labels}"
    (added,) = [payload for about, payload in site.events(LABELS_ADDED) if about == resource]
    (decision,) = answer(site.labels, "SELECT * FROM decisions").to_pylist()
    assert decision["snapshot"] == added["snapshot"]
    assert decision["promoted"], decision["reason"]


def test_a_promotion_leads_to_scores_by_the_new_champion(site):
    run = wait_for(lambda: site.run_of("process-corpus/on-promotion"))
    assert run["name"] == "clips with emi/1"
    ((resource, promoted),) = site.events(MODEL_PROMOTED)
    assert resource == "emi.model.emi"
    assert promoted["reference"] == "models:/emi/1"
    (scored,) = answer(
        site.results,
        "SELECT count(*) AS clips FROM scores WHERE status = 'scored' "
        f"AND model_sha256 = '{promoted['sha256']}'",
    ).to_pylist()
    assert scored["clips"] == NUM_CLIPS


def test_the_ui_shows_what_went_on(site):
    def committed():
        told = [payload for _, payload in site.events(COMMITTED["scores"])]
        return [one for one in told if one["num_scored"]]

    wait_for(lambda: len(committed()) == 2, 30)  # the server writes events down now and then
    assert {one["state"] for one in committed()} == {"completed"}
    assert [one["num_scored"] for one in committed()] == [NUM_CLIPS, NUM_CLIPS]
    assert all(one["reasons"]["unreadable"] for one in committed())

    nightly = {one["key"]: one for one in site.artifacts_of(site.run_of("process-corpus/nightly"))}
    assert set(nightly) == {"progress", "run-counts", "run-rejections"}
    assert (nightly["progress"]["data"], nightly["progress"]["description"]) == (100, "done")
    counts = {row["what"]: row["clips"] for row in json.loads(nightly["run-counts"]["data"])}
    assert (counts["scored"], counts["rejected"]) == (NUM_CLIPS, NUM_BROKEN)
    rejections = json.loads(nightly["run-rejections"]["data"])
    assert sum(row["clips"] for row in rejections) == NUM_BROKEN
    retraining = site.run_of("retrain/on-labels")
    artifacts = site.artifacts_of(retraining)
    retrain = {one["key"]: one["data"] for one in artifacts}
    assert retrain["decision"].startswith("## emi version 1: promoted")
    assert "**mean Pearson " in retrain["evaluation"]
    assert "![scores over labels](data:image/png;base64," in retrain["evaluation"]
    assert all(one["description"] for one in artifacts)


def test_a_runs_log_and_state_tell_its_stages_and_its_outcome(site, model):
    scan, retraining = site.run_of("process-corpus/nightly"), site.run_of("retrain/on-labels")
    num_files = NUM_CLIPS + NUM_BROKEN
    outcome = f"{num_files} clips: {NUM_CLIPS} scored, {NUM_BROKEN} rejected, 0 skipped"
    assert scan["state"]["message"].startswith(outcome)
    assert retraining["state"]["message"].startswith("emi: promoted: ")

    def log_of(run):
        wanted = {"logs": {"flow_run_id": {"any_": [run["id"]]}}}
        return [line["message"] for line in site.api("/logs/filter", wanted)]

    lines = wait_for(lambda: outcome in "".join(log_of(scan)) and log_of(scan), 30)
    for line in ("listing clips", "starting workers", f"scoring: {num_files} clips"):
        assert line in lines
    wanted = {"flow_runs": {"id": {"any_": [retraining["id"]]}}}
    tasks = {one["name"].rpartition("-")[0] for one in site.api("/task_runs/filter", wanted)}
    assert {"extract", "train", "compare"} <= tasks
    assert f"scans score with {model}, as --model says" in "\n".join(site.shown)


def test_ctrl_c_ends_all_of_it_and_leaves_whole_stores(site, talking_to, model):
    deployment = site.run_of("process-corpus/on-promotion")["deployment_id"]
    site.api(
        f"/deployments/{deployment}/create_flow_run",
        {"parameters": {"rescore": True}, "state": {"type": "SCHEDULED"}},
    )
    parent = psutil.Process(site.process.pid)
    wait_for(lambda: any("raylet" in child.name() for child in parent.children(recursive=True)))
    left = parent.children(recursive=True)
    site.process.send_signal(signal.SIGINT)
    out, err = site.process.communicate(timeout=120)
    assert site.process.returncode == 0, err
    assert err.splitlines()[-1] == "emi: stopped"
    for run in (f"clips with {model.name}", "emi on labels", "clips with emi/1"):
        assert f" {run}: completed, " in out
    assert psutil.wait_procs(left, timeout=20)[1] == []
    assert not (site.home / "server.json").exists()
    states = answer(site.results, "SELECT state FROM runs WHERE state <> 'completed'").to_pylist()
    assert states == [{"state": "interrupted"}]
    kept = answer(site.results, "SELECT count(*) AS n FROM all_scores WHERE status = 'scored'")
    assert kept.to_pylist() == [{"n": 2 * NUM_CLIPS}]
