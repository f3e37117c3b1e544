"""The Kubernetes files: their documents, and the pods that these ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tests.infra.containerfile import ROOT

FOLDER = ROOT / "infra" / "kubernetes"
APART = {"kustomization.yaml", "rayjob.yaml"}
"""Not among the kustomization's resources."""


@dataclass(frozen=True)
class Pod:
    """A pod template, and what it was found in."""

    name: str
    template: dict[str, Any]

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.template["spec"]
        return spec

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.template["metadata"]["labels"]
        return labels

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def documents() -> list[dict[str, Any]]:
    """Return every document of every file but the kustomization."""
    return [
        document
        for file in sorted(FOLDER.glob("*.yaml"))
        if file.name != "kustomization.yaml"
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
    ]


def named(document: dict[str, Any]) -> str:
    """Return how people name a document."""
    metadata = document["metadata"]
    return f"{document['kind']}/{metadata.get('name') or metadata['generateName']}"


def pods() -> list[Pod]:
    """Return every pod template."""
    return [Pod(name, template) for document in documents() for name, template in _pods(document)]


def _pods(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    spec, name = document.get("spec", {}), named(document)
    if document["kind"] == "RayCluster":
        head = spec["headGroupSpec"]["template"]
        yield f"{name} head", _with_kuberay_labels(head, "head")
        for group in spec["workerGroupSpecs"]:
            yield f"{name} {group['groupName']}", _with_kuberay_labels(group["template"], "worker")
    elif document["kind"] == "RayJob":
        yield name, spec["submitterPodTemplate"]
    elif "template" in spec:
        yield name, spec["template"]


def _with_kuberay_labels(template: dict[str, Any], node_type: str) -> dict[str, Any]:
    """Return a template with the labels that the operator gives to pods of a cluster."""
    metadata = template["metadata"]
    labels = {"ray.io/cluster": "emi-ray", "ray.io/node-type": node_type, **metadata["labels"]}
    return {**template, "metadata": {**metadata, "labels": labels}}
