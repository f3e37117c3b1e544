"""infra/kubernetes: valid, closed, pinned, and without a secret."""

from copy import deepcopy

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.infra.containerfile import ROOT
from tests.infra.kuberay import SCHEMAS
from tests.infra.manifests import APART, FOLDER, documents, named, pods
from tests.infra.pinned import COMMANDS, constraint, is_pinned, is_secret, own_image, values

VERSIONS = ("1.34", "1.37")
DOCUMENTS = documents()
PODS = pods()
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
DEPLOYMENT = (ROOT / "infra" / "docs" / "deployment.md").read_text(encoding="utf-8")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=named)
each_pod = pytest.mark.parametrize("pod", PODS, ids=lambda pod: pod.name)


def of_kind(kind):
    return [document for document in DOCUMENTS if document["kind"] == kind]


def found(kind, name):
    (document,) = (each for each in of_kind(kind) if each["metadata"].get("name") == name)
    return document


def check(document):
    if document["kind"] in SCHEMAS:
        jsonschema.validate(document, SCHEMAS[document["kind"]])
    else:
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)


@each_document
def test_a_document_is_valid_by_the_published_schemas(document):
    check(document)


@each_pod
def test_a_pod_is_valid_by_the_published_schemas(pod):
    check(
        {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": "x"},
            "template": pod.template,
        }
    )


def test_the_autoscaler_is_valid_by_the_published_schemas():
    (cluster,) = of_kind("RayCluster")
    options = cluster["spec"]["autoscalerOptions"]
    known = {"resources", "securityContext", "volumeMounts"}
    container = {"name": "autoscaler", **{key: options[key] for key in known}}
    check(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "x"},
            "spec": {"containers": [container]},
        }
    )


@pytest.mark.parametrize(
    ("kind", "where", "wrong"),
    [
        ("StatefulSet", "spec", "replica"),
        ("RayCluster", "spec", "authOption"),
        ("RayJob", "spec", "entrypont"),
    ],
)
def test_the_schemas_tell_right_from_wrong(kind, where, wrong):
    document = deepcopy(of_kind(kind)[0])
    document[where][wrong] = 1
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(document)


def test_the_kustomization_has_every_file():
    files = {file.name for file in FOLDER.glob("*.yaml")}
    assert set(KUSTOMIZATION["resources"]) == files - APART
    assert KUSTOMIZATION["namespace"] == found("Namespace", "emi")["metadata"]["name"]
    for generated in KUSTOMIZATION["configMapGenerator"]:
        assert all((FOLDER / file).is_file() for file in generated["files"])


@each_pod
def test_a_pod_may_do_little(pod):
    assert pod.spec["enableServiceLinks"] is False
    security = pod.spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod.containers:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
    if pod.name != "RayCluster/emi-ray head":  # whose account KubeRay makes, for the autoscaler
        assert pod.spec["serviceAccountName"] == "emi"
        assert pod.spec["automountServiceAccountToken"] is False


@each_pod
def test_a_pod_asks_for_what_it_needs(pod):
    for container in pod.containers:
        resources = container["resources"]
        assert {"cpu", "memory"} <= set(resources["requests"])
        assert "memory" in resources["limits"]


@each_pod
def test_images_are_pinned(pod):
    for container in pod.containers:
        assert is_pinned(container["image"])
        if "emi-workflow" in container["image"]:
            gpu = "nvidia.com/gpu" in container["resources"]["limits"]
            assert container["image"] == own_image("gpu" if gpu else "cpu")


@each_pod
def test_our_containers_write_where_the_image_does(pod):
    volumes = {volume["name"] for volume in pod.spec["volumes"]}
    claims = {"data"} if pod.name == "StatefulSet/postgres" else set()
    for container in pod.containers:
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts.values()) <= volumes | claims
        assert "/tmp" in mounts
        if "emi-workflow" in container["image"]:
            assert any(path.startswith("/var/lib/emi") for path in mounts)
            assert container.get("command", ["ray"])[0] in COMMANDS


def test_no_secret_is_written_down():
    assert of_kind("Secret") == []
    for pod in PODS:
        for container in pod.containers:
            for variable in container.get("env", []):
                if is_secret(variable["name"]) and variable["name"] != "MLFLOW_BACKEND_STORE_URI":
                    assert "secretKeyRef" in variable["valueFrom"], variable
    for settings in of_kind("ConfigMap"):
        assert [name for name in settings["data"] if is_secret(name)] == []


def test_the_readme_says_how_every_secret_is_made():
    keys = {
        (reference["name"], reference["key"])
        for pod in PODS
        for key, reference in values(pod.template)
        if key == "secretKeyRef"
    }
    names = {name for name, _ in keys} | {
        reference["name"]
        for pod in PODS
        for key, reference in values(pod.template)
        if key == "secretRef"
    }
    for name in names:
        assert f"create secret generic {name} " in DEPLOYMENT, name
    for name, key in keys:
        made = DEPLOYMENT.partition(f"create secret generic {name} ")[2].partition("create secret")[
            0
        ]
        assert f"--from-literal={key}=" in made, (name, key)


def test_pods_start_without_keys_where_their_identity_is_enough():
    assert "leave the Secret `object-store` out" in DEPLOYMENT
    references = [
        reference
        for pod in PODS
        for key, reference in values(pod.template)
        if key == "secretRef" and reference["name"] == "object-store"
    ]
    assert len(references) == 5
    assert all(reference.get("optional") for reference in references)


def test_settings_that_are_named_are_there():
    known = {settings["metadata"]["name"]: settings["data"] for settings in of_kind("ConfigMap")}
    for pod in PODS:
        for key, reference in values(pod.template):
            if key == "configMapKeyRef":
                assert reference["key"] in known[reference["name"]]
            if key == "configMapRef":
                assert reference["name"] in known


def test_services_find_their_pods():
    for service in of_kind("Service"):
        selector = service["spec"]["selector"]
        (pod,) = (pod for pod in PODS if selector.items() <= pod.labels.items())
        ports = {port["containerPort"] for each in pod.containers for port in each["ports"]}
        assert {port["port"] for port in service["spec"]["ports"]} <= ports


def test_nothing_passes_but_what_a_policy_allows():
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind("NetworkPolicy")}
    closed = policies.pop("deny-by-default")
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, spec in policies.items():
        selector = spec["podSelector"]
        assert not selector or any(_selects(selector, pod) for pod in PODS), name
        for rule in spec.get("ingress", []):
            assert rule["from"], f"{name} lets everybody in"


def _selects(selector, pod):
    equal = selector.get("matchLabels", {}).items() <= pod.labels.items()
    return equal and all(
        pod.labels.get(rule["key"]) in rule["values"]
        for rule in selector.get("matchExpressions", [])
    )


def test_ray_wants_a_token_and_prefect_a_login():
    (cluster,) = of_kind("RayCluster")
    assert cluster["spec"]["authOptions"] == {"mode": "token"}
    assert cluster["spec"]["rayVersion"] == constraint("ray")
    name = cluster["metadata"]["name"]
    reference = {"secretKeyRef": {"name": name, "key": "auth_token"}}
    joining = [pod for pod in PODS if pod.name in ("Deployment/prefect-worker", "RayJob/emi-run-")]
    assert len(joining) == 2
    for pod in joining:
        variables = {each["name"]: each for each in pod.containers[0]["env"]}
        assert variables["RAY_AUTH_MODE"]["value"] == "token"
        assert variables["RAY_AUTH_TOKEN"]["valueFrom"] == reference
    (job,) = of_kind("RayJob")
    assert job["spec"]["clusterSelector"] == {"ray.io/cluster": name}
    server = next(pod for pod in PODS if pod.name == "Deployment/prefect")
    assert "PREFECT_SERVER_API_AUTH_STRING" in {
        each["name"] for each in server.containers[0]["env"]
    }


def test_the_cluster_grows_and_shrinks():
    (cluster,) = of_kind("RayCluster")
    spec = cluster["spec"]
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    groups = {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    assert set(groups) == {"cpu", "gpu"}
    for group in groups.values():
        assert group["minReplicas"] <= group["replicas"] < group["maxReplicas"]
