"""What a server runs by itself: as it is written down here, in infra/prefect.yaml and in the UI."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from prefect.events.schemas.events import Resource
from prefect.server.events.schemas.events import ResourceSpecification
from prefect.utilities.callables import parameter_schema

from emi_model.errors import ConfigError
from flows.ablate import ablate
from flows.server.deployment import JOB_VARIABLES, POOL
from flows.server.deployments import Setup, check_schedule, deployments, local_timezone
from flows.server.events import LABELS_ADDED, store_resource

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(__file__).with_name("deployments.yaml")

SITE = Setup(
    corpus="/data/clips",
    results="/data/results",
    labels="/data/labels",
    recipe="paper",
    timezone="Europe/Berlin",
    watch_corpus=True,
    label_inbox="/data/inbox",
    gpus_per_scorer=0.5,
    ray_address="head:6379",
)


@pytest.fixture(scope="module")
def built():
    """The deployments as Prefect takes them, by their full name."""
    return {one.full_name: one.build() for one in deployments(SITE)}


def snapshot():
    """All that a site's server knows of its deployments, and the forms of their flows."""
    known = [{"flow": one.flow, **one.spec()} for one in deployments(SITE)]
    schemas = {one.flow: one.build()._parameter_openapi_schema for one in deployments(SITE)}
    forms = {
        flow: {name: _field(facts) for name, facts in schema.properties.items()}
        for flow, schema in schemas.items()
    }
    return yaml.safe_dump({"deployments": known, "forms": forms}, sort_keys=False, width=100)


def _field(facts):
    """What a field of a form takes; its words may change without notice."""
    return {name: facts[name] for name in facts if name not in ("title", "description", "position")}


def test_deployments_are_as_they_were():
    """A change that is meant: ``python -m tests.flows.server.test_deployments``, and look at it."""
    assert snapshot() == GOLDEN.read_text(encoding="utf-8")


def test_prefects_own_command_registers_the_same():
    site = Setup(
        corpus="{{ $EMI_CORPUS }}",
        results="{{ $EMI_RESULTS }}",
        labels="{{ $EMI_LABELS }}",
        watch_corpus=True,
        label_inbox="{{ $EMI_LABEL_INBOX }}",
    )
    pool = {"name": POOL, "job_variables": JOB_VARIABLES}
    file = yaml.safe_load((ROOT / "infra" / "prefect.yaml").read_text(encoding="utf-8"))
    assert file["deployments"] == [one.spec() | {"work_pool": pool} for one in deployments(site)]
    assert file["pull"] == []


def test_prefect_takes_what_is_written_down(built):
    for one in deployments(SITE):
        found = built[one.full_name]
        assert found.entrypoint == one.entrypoint
        assert found.full_name == one.full_name
        assert found.concurrency_limit == 1
        assert found.concurrency_options.collision_strategy == one.collision
        assert found.parameters == one.parameters
        assert [(at.schedule.cron, at.schedule.timezone) for at in found.schedules] == (
            [(one.cron, one.timezone)] if one.cron else []
        )
        assert len(found.triggers) == (one.trigger is not None)


def test_every_field_of_a_form_says_what_it_is(built):
    schemas = [one._parameter_openapi_schema for one in built.values()]
    for schema in [*schemas, parameter_schema(ablate)]:
        assert schema.properties
        for name, facts in schema.properties.items():
            assert facts["title"] == name
            assert len(facts.get("description", "")) > 10, name
            assert "type" in facts or "anyOf" in facts, name


def test_a_form_takes_what_its_flow_takes(built):
    for name, found in built.items():
        fields = set(found._parameter_openapi_schema.properties)
        assert set(found.parameters) <= fields, name
        assert set(found._parameter_openapi_schema.required) <= set(found.parameters), name
        for trigger in found.triggers:
            assert set(trigger.parameters or {}) <= fields, name


def test_snapshots_within_a_time_lead_to_one_run_that_comes_after_them():
    retrain = next(one for one in deployments(SITE) if one.flow == "retrain").build()
    (trigger,) = retrain.triggers
    assert trigger.within == timedelta(seconds=60)
    assert trigger.schedule_after >= trigger.within + timedelta(seconds=10)  # clocks differ
    assert retrain.concurrency_options.collision_strategy == "ENQUEUE"
    now = next(
        one
        for one in deployments(replace(SITE, debounce_seconds=0))
        if one.trigger and one.trigger.event == LABELS_ADDED
    )
    assert "within" not in now.spec()["triggers"][0]


@pytest.mark.parametrize("labels", ["/data/my [new] labels?", "/data/a*", "s3://bucket/labels"])
def test_a_trigger_matches_its_store_and_no_other(labels):
    retrain = next(
        one for one in deployments(replace(SITE, labels=labels)) if one.flow == "retrain"
    )
    wanted = ResourceSpecification(retrain.spec()["triggers"][0]["match"])

    def matches(place):
        resource = Resource({"prefect.resource.id": store_resource(place)})
        return wanted.matches(resource)

    assert matches(labels)
    assert not matches(f"{labels}2")
    assert not matches("/data/my n labelsx")


def test_a_site_gets_what_it_asks_for():
    plain = replace(SITE, watch_corpus=False, label_inbox=None)
    assert "watch" not in {one.flow for one in deployments(plain)}
    watch = deployments(replace(plain, watch_corpus=True))[-1]
    assert watch.parameters == {"corpus": "/data/clips", "results": "/data/results"}
    watch = deployments(replace(plain, label_inbox="/in"))[-1]
    assert watch.parameters == {
        "corpus": "/data/clips",
        "label_inbox": "/in",
        "labels": "/data/labels",
    }
    assert not any(one.cron for one in deployments(replace(plain, cron=None)))
    assert "ray_address" not in deployments(replace(plain, ray_address=None))[0].parameters
    named = deployments(replace(plain, name="other", model=None))
    assert named[0].parameters["model"] == "models:/other@champion"
    assert named[1].trigger.resource == "emi.model.other"
    assert deployments(replace(plain, model="/a/model"))[0].parameters["model"] == "/a/model"
    two = {one.full_name for one in deployments(replace(SITE, suffix="two"))}
    assert "process-corpus/nightly-two" in two
    assert not two & {one.full_name for one in deployments(SITE)}


def test_a_schedule_that_is_none_is_refused():
    check_schedule("*/5 1-4 * * 1,3", "America/New_York")
    for cron, zone in (("at night", "UTC"), ("15 2 * * *", "Mars/Olympus")):
        with pytest.raises(ConfigError, match="expected five fields"):
            check_schedule(cron, zone)


def test_the_machines_own_time_zone(monkeypatch):
    monkeypatch.setenv("TZ", ":Asia/Kolkata")
    assert local_timezone() == "Asia/Kolkata"
    monkeypatch.setenv("TZ", "no zone")
    assert local_timezone() == "UTC"
    monkeypatch.delenv("TZ")
    check_schedule("15 2 * * *", local_timezone())


def test_nothing_of_the_environment_is_baked_in(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    assert "elsewhere" not in snapshot()


if __name__ == "__main__":
    os.environ.pop("RAY_ADDRESS", None)
    GOLDEN.write_text(snapshot(), encoding="utf-8")
