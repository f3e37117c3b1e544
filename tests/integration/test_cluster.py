"""A Ray cluster of several nodes on one machine: nodes go, come, and bring their code along."""

import signal
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from ray._private.ray_constants import PROCESS_TYPE_RAYLET
from ray.cluster_utils import Cluster

from emi_model.errors import CheckpointError, TrainingError
from emi_model.targets import EMI_TARGETS
from tasks.cluster.budget import ScorerPool
from tasks.cluster.nodes import alive_nodes, ask_nodes
from tasks.corpus.listing import list_clips
from tasks.provenance import code_version
from tasks.scoring.direct import score_files
from tasks.scoring.score_clips import score_clips, scoring_cluster
from tasks.scoring.settings import ScoringSettings
from tasks.store.query import answer
from tasks.training.on_ray import check_shared
from tests.integration.conftest import A_CLIP
from tests.integration.test_interruption import parts, wait_for

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

NUM_CLIPS = 150
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
QUICK_TO_NOTICE = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clips(corpus, tmp_path_factory):
    """150 clips: those of the small corpus again and again, each with an empty box of its own."""
    folder = tmp_path_factory.mktemp("clips")
    found = sorted(corpus.glob("*/clip_*.mp4"))
    names = {f"{number:03d}.mp4": found[number % len(found)] for number in range(NUM_CLIPS)}
    for number, (name, clip) in enumerate(names.items()):
        box = struct.pack(">I4sI", 12, b"free", number)
        (folder / name).write_bytes(clip.read_bytes() + box)
    return folder, names


@pytest.fixture(scope="module")
def brake(tmp_path_factory):
    """A file that does not exist: while it does, extraction takes a second a clip."""
    return tmp_path_factory.mktemp("brake") / "brake"


@pytest.fixture(scope="module")
def cluster(ffmpeg_that, brake):
    """A head that gives no CPUs, and two nodes of one, where extraction takes its time."""
    with pytest.MonkeyPatch.context() as environment:
        ffmpeg = ffmpeg_that(A_CLIP.format(f'sleep $([ -e "{brake}" ] && echo 1 || echo 0.05)'))
        environment.setenv("EMI_FFMPEG", str(ffmpeg))
        head = NODE | {"num_cpus": 0, "include_dashboard": False}
        cluster = Cluster(True, head_node_args=head | {"_system_config": QUICK_TO_NOTICE})
        for _ in range(2):
            cluster.add_node(**NODE)
        yield cluster
        cluster.shutdown()


def titles(pid=None):
    """What this process's children are at, or another's."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found.append(process.name())
    return found


def work():
    """What workers of this process's cluster are at, but for Ray's own."""
    ours = ("extract_block", "ScorerActor", "Ledger")
    return [title for title in titles() if any(name in title for name in ours)]


def has_scorer(node):
    """Whether a node has a scorer that has loaded its model."""
    (raylet,) = node.all_processes[PROCESS_TYPE_RAYLET]
    return any(
        "ScorerActor" in title and "__init__" not in title for title in titles(raylet.process.pid)
    )


def test_clips_survive_a_cancelled_run_lost_nodes_and_a_new_one(
    launch, served, cluster, brake, clips, model, tmp_path
):
    folder, names = clips
    results = tmp_path / "results"
    arguments = ("process", folder, "--results", results, "--model", model)
    arguments += ("--ray-address", cluster.address)

    cancelled = launch(*arguments, **served)
    wait_for(lambda: bool(parts(results)))
    cancelled.send_signal(signal.SIGTERM)
    cancelled.communicate(timeout=60)
    assert cancelled.returncode == -signal.SIGTERM
    (run,) = answer(results, "SELECT state, num_scored FROM runs").to_pylist()
    assert run["state"] == "interrupted"
    committed = len(parts(results))
    wait_for(lambda: not work(), 20)

    process = launch(*arguments, **served)
    wait_for(lambda: len(parts(results)) > committed)
    lost = list(cluster.worker_nodes)  # all: a scorer that is left may be the only one
    brake.touch()
    added = cluster.add_node(**NODE)
    for node in lost:
        cluster.remove_node(node, allow_graceful=False)
    wait_for(lambda: has_scorer(added))
    brake.unlink()
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err

    rows = answer(results, "SELECT * FROM scores").to_pylist()
    assert {row["clip_id"] for row in rows} == names.keys()
    assert len(rows) == NUM_CLIPS
    undisturbed, _ = score_files(sorted({str(clip) for clip in names.values()}), str(model))
    expected = {Path(row["clip_id"]).name: row for row in undisturbed}
    for row in rows:
        same = expected[names[row["clip_id"]].name]
        for target in ("joy", "admiration", "arousal", "valence_of_mean"):
            assert row[target] == pytest.approx(same[target], abs=1e-5)
    nodes = answer(
        results, "SELECT num_scored, nodes, numerics FROM runs ORDER BY started_at"
    ).to_pylist()
    for run in nodes:
        assert sum(dict(run["nodes"]).values()) == run["num_scored"]
        assert dict(run["numerics"]) == {"fp32": run["num_scored"]}
    assert dict(nodes[-1]["nodes"])[added.node_id] > 0


def test_scorers_claim_gpus(cluster, corpus, model):
    """Ray believes what a node says of its GPUs; PyTorch finds none, and scores on the CPU."""
    node = cluster.add_node(**NODE, num_gpus=1)
    clips = list_clips(str(corpus))[:20]
    settings = ScoringSettings(str(model), EMI_TARGETS, 12.0, "first", "fp32")
    with scoring_cluster(ScorerPool(gpus_per_scorer=0.5), cluster.address) as budget:
        assert (budget.gpus_per_scorer, budget.scorers) == (0.5, 2)
        rows = [row for table in score_clips(clips, settings, budget) for row in table.to_pylist()]
    assert sorted(row["clip_id"] for row in rows) == [clip.clip_id for clip in clips]
    assert {row["node"] for row in rows if row["node"]} == {node.node_id}
    cluster.remove_node(node)


def test_code_comes_by_wheel_and_every_node_checks_its_model(
    cluster, corpus, model, tmp_path, monkeypatch
):
    monkeypatch.setenv("EMI_WHEEL", str(write_wheel(tmp_path)))
    monkeypatch.chdir(tmp_path)  # Ray's workers look for code where the driver is
    settings = ScoringSettings(
        str(model), EMI_TARGETS, 12.0, "first", "fp32", model_sha256="0" * 64
    )

    def where_code_is():
        import tasks

        return getattr(tasks, "FROM_WHEEL", False)

    with scoring_cluster(ScorerPool(), cluster.address) as budget:
        assert budget.elastic
        assert set(ask_nodes(where_code_is, alive_nodes()).values()) == {True}
        with pytest.raises(CheckpointError, match=r"^node .* expected 000000000000: put the model"):
            list(score_clips(list_clips(str(corpus))[:4], settings, budget))
        with pytest.raises(TrainingError, match=r"^node .* does not see .*nowhere"):
            check_shared(tmp_path / "nowhere")


def write_wheel(folder):
    """This project as a wheel, marked."""
    name = f"emi_workflow-{code_version()}"
    path = folder / f"{name}-py3-none-any.whl"
    info = f"Metadata-Version: 2.4\nName: emi-workflow\nVersion: {code_version()}\n"
    with zipfile.ZipFile(path, "w") as wheel:
        for room in ("emi_model", "tasks", "flows"):
            for file in (ROOT / room).rglob("*"):
                if file.suffix in {".py", ".sql"}:
                    mark = "\nFROM_WHEEL = True\n" if file == ROOT / "tasks/__init__.py" else ""
                    wheel.writestr(str(file.relative_to(ROOT)), file.read_text() + mark)
        wheel.writestr(f"{name}.dist-info/METADATA", info)
    return path
