"""`emi retrain`: labels that help make a champion, labels that do not leave the one there is."""

import csv
import random
from pathlib import Path

import pytest

from emi_model.checkpoints.checkpoint import load_checkpoint
from flows.retrain import retrain_model
from tasks.labels.add_labels import add_labels
from tasks.registry.champion import promote
from tasks.registry.registry import find, register, resolve_model
from tasks.registry.tracking import start_run
from tasks.store.query import answer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

KEPT = {"filename", "speaker", "split"}


def label_file(corpus, path, *, shuffled_by):
    """Write the corpus's labels; of the training clips those of other clips, if a seed shuffles."""
    with (corpus / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    taught = [row for row in rows if row["split"] == "train"]
    values = [{name: row[name] for name in row if name not in KEPT} for row in taught]
    if shuffled_by is not None:
        random.Random(shuffled_by).shuffle(values)
    for row, own in zip(taught, values, strict=True):
        row |= own
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def interrupted(*_):
    raise KeyboardInterrupt


@pytest.mark.usefixtures("served", "emi_home")
def test_only_labels_that_help_change_the_champion(corpus, model, tmp_path, monkeypatch):
    store = tmp_path / "store"

    def retrained(*, shuffled_by=None, **options):
        labels = label_file(corpus, tmp_path / "labels.csv", shuffled_by=shuffled_by)
        add_labels(store, labels, str(corpus))
        return retrain_model(str(store), str(corpus), recipe="debug", **options)

    run = start_run("older", {})
    promote("emi", register("emi", model, run.run_id, {"recipe": "debug"}))
    with monkeypatch.context() as patch:
        patch.setattr("tasks.registry.champion._write_history", interrupted)
        with pytest.raises(KeyboardInterrupt):
            retrained()
    assert find("champion").number == 1
    better = retrained(rescore=str(tmp_path / "results"))
    again = retrain_model(str(store), str(corpus), recipe="debug")
    champion = load_checkpoint(Path(resolve_model("models:/emi@champion")))
    worse = retrained(shuffled_by=1)

    assert better["promoted"], better["reason"]
    assert better["difference_low"] > 0
    assert again["decision_id"] is None
    assert "nothing new" in again["reason"]
    rescored = answer(
        tmp_path / "results",
        "SELECT model_sha256, training_split, count(*) AS clips FROM scores "
        "WHERE status = 'scored' GROUP BY ALL ORDER BY training_split",
    ).to_pylist()
    assert {row["model_sha256"] for row in rescored} == {champion.sha256}
    assert {row["training_split"]: row["clips"] for row in rescored} == {"train": 32, "valid": 16}
    unseen = answer(tmp_path / "results", "SELECT count(*) AS clips FROM unseen_scores").to_pylist()
    assert unseen == [{"clips": 16 + 6}]

    assert not worse["promoted"], worse["reason"]
    assert find("champion").number == 2
    assert load_checkpoint(Path(resolve_model("models:/emi@champion"))).sha256 == champion.sha256
    decisions = answer(
        store,
        "SELECT champion, challenger, promoted, difference FROM decisions ORDER BY decided_at",
    ).to_pylist()
    assert [row["challenger"] for row in decisions] == ["2", "3"]
    assert [row["champion"] for row in decisions] == ["1", "2"]
    assert [row["promoted"] for row in decisions] == [True, False]
    assert decisions[0]["difference"] > 0 > decisions[1]["difference"]
