"""infra/compose.yaml: valid, closed, pinned, and without a secret."""

import json
import re
from copy import deepcopy
from pathlib import Path

import check_jsonschema
import jsonschema
import pytest
import yaml

from tests.infra.containerfile import ROOT, environment, stages
from tests.infra.pinned import COMMANDS, is_pinned, is_secret, own_image

FILE = ROOT / "infra" / "compose.yaml"
TEXT = FILE.read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
SCHEMA = json.loads(
    Path(check_jsonschema.__file__)
    .with_name("builtin_schemas")
    .joinpath("vendor", "compose-spec.json")
    .read_text(encoding="utf-8")
)
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")

each_service = pytest.mark.parametrize("name", SERVICES)


def example():
    lines = (ROOT / "infra" / "example.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def is_one_off(service):
    return service.get("restart") == "no"


def test_it_is_valid_by_the_published_schema():
    jsonschema.validate(COMPOSE, SCHEMA)


def test_the_schema_tells_right_from_wrong():
    wrong = deepcopy(COMPOSE)
    wrong["services"]["s3"]["read_onli"] = True
    with pytest.raises(jsonschema.ValidationError, match="read_onli"):
        jsonschema.validate(wrong, SCHEMA)


@each_service
def test_a_container_may_do_little(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc"} & set(service)
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory"} <= set(limits)


@each_service
def test_images_are_pinned(name):
    image = SERVICES[name]["image"]
    assert is_pinned(image)
    if "build" in SERVICES[name]:
        target = SERVICES[name]["build"]["target"]
        assert image == own_image(target)
        assert target in stages()


@each_service
def test_ports_are_open_to_this_machine_alone(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_only_what_a_person_uses_is_published():
    published = {name for name, service in SERVICES.items() if "ports" in service}
    assert published == {"prefect", "mlflow", "ray-head", "s3"}
    assert COMPOSE["networks"]["database"] == {"internal": True}
    assert [name for name in SERVICES if "database" in SERVICES[name]["networks"]] == [
        "postgres",
        "prefect",
        "mlflow",
    ]


@each_service
def test_what_stays_up_says_how_it_is(name):
    service = SERVICES[name]
    assert is_one_off(service) or {"interval", "retries", "start_period"} <= set(
        service["healthcheck"]
    )


@each_service
def test_a_service_waits_for_what_it_needs(name):
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        once = is_one_off(SERVICES[needed])
        expected = "service_completed_successfully" if once else "service_healthy"
        assert how == {"condition": expected}


@each_service
def test_no_secret_is_written_down(name):
    for variable, value in SERVICES[name].get("environment", {}).items():
        if is_secret(variable) and value:
            assert _VARIABLE.search(value), variable
            assert not re.search(r"(?i)(password|secret)=\w", str(SERVICES[name].get("command")))


def test_it_does_not_start_without_its_secrets():
    named = {variable for variable, *_ in _VARIABLE.findall(TEXT)}
    required = {variable for variable, how, said in _VARIABLE.findall(TEXT) if how == ":?" and said}
    optional = {variable for variable, how, _ in _VARIABLE.findall(TEXT) if how == ":-"}
    assert named == required | optional
    assert not required & optional
    assert required == {variable for variable in example() if is_empty_secret(variable)}
    assert set(example()) <= named


def is_empty_secret(variable):
    return not example()[variable] and variable != "EMI_MODEL"


@pytest.mark.parametrize("name", [name for name in SERVICES if "build" in SERVICES[name]])
def test_our_containers_start_what_is_inside_and_write_where_they_may(name):
    service = SERVICES[name]
    assert service["command"][0] in COMMANDS
    assert service["user"] == "10001:10001"
    written = {volume.rpartition(":")[2] for volume in service["volumes"]}
    assert "/tmp" in written
    target = service["build"]["target"]
    homes = {
        value
        for variable, value in environment(target, stages()).items()
        if variable in ("EMI_HOME", "PREFECT_HOME")
    }
    assert any(home.startswith(tuple(written - {"/tmp"})) for home in homes)


def test_volumes_that_are_used_are_declared():
    named = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if ":" in volume and not volume.startswith(".")
    }
    assert named == set(COMPOSE["volumes"])


def test_prefect_wants_a_login_and_ray_a_token():
    assert "PREFECT_SERVER_API_AUTH_STRING" in SERVICES["prefect"]["environment"]
    for name in ("ray-head", "ray-worker", "ray-worker-gpu", "worker"):
        variables = SERVICES[name]["environment"]
        assert variables["RAY_AUTH_MODE"] == "token"
        assert "RAY_TOKEN" in variables["RAY_AUTH_TOKEN"]


def test_gpus_are_asked_for_by_the_gpu_image_alone():
    asking = [
        name
        for name, service in SERVICES.items()
        if "devices" in service["deploy"]["resources"].get("reservations", {})
    ]
    assert asking == ["ray-worker-gpu"]
    assert SERVICES["ray-worker-gpu"]["image"] == own_image("gpu")
    assert SERVICES["ray-worker-gpu"]["profiles"] == ["gpu"]
