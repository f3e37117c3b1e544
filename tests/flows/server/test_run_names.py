import pytest

from flows.server import run_names


@pytest.fixture
def given(monkeypatch):
    """Name a run with these parameters."""

    def name(namer, **parameters):
        monkeypatch.setattr(run_names, "_parameters", lambda: parameters)
        return namer()

    return name


@pytest.mark.parametrize(
    ("source", "model", "name"),
    [
        ("/data/clips/", "/models/demo-model", "clips with demo-model"),
        ("s3://bucket/my clips", "models:/emi@champion", "my clips with emi@champion"),
        ("s3://bucket", "models:/emi/3", "bucket with emi/3"),
        ("rest.csv", "owner/name", "rest.csv with owner/name"),
        (".", "s3://bucket/models/tiny", ". with tiny"),
    ],
)
def test_a_scan_is_named_by_corpus_and_model(given, source, model, name):
    assert given(run_names.scored, source=source, model=model) == name


def test_other_runs_by_what_they_work_on(given):
    labels = {"labels": "/data/labels"}
    assert given(run_names.evaluated, model="models:/emi/3", **labels) == "emi/3 on labels"
    assert given(run_names.trained, **labels) == "emi on labels"
    assert given(run_names.trained, name="other", **labels) == "other on labels"
    assert given(run_names.ablated, **labels) == "ablation on labels"
    assert given(run_names.compared, **labels) == "comparison on labels"
    assert given(run_names.watched, corpus="/data/clips", results="/r") == "clips"
    both = {"corpus": "/data/clips", "results": "/r", "label_inbox": "s3://bucket/in"}
    assert given(run_names.watched, **both) == "clips and in"
    assert given(run_names.watched, corpus="/data/clips", label_inbox="/in") == "in"
    assert given(run_names.watched, corpus="/data/clips") == "nothing"
