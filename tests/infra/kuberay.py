"""What KubeRay takes: the part of its definitions that our files use, in our own words.

No package index carries KubeRay's CustomResourceDefinitions, so this is written after the types of
its version 1.7 (ray-operator/apis/ray/v1): names of fields, their types, what is required, and the
values of enumerations. Fields that we do not use are not listed, so a typing error is found. Pod
templates and container parts within are checked by Kubernetes' own published schemas instead.
"""

from __future__ import annotations

from typing import Any

STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
ELSEWHERE: dict[str, Any] = {"type": "object"}
"""Kubernetes' own types."""


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


_COUNT = {"type": "integer", "minimum": 0}

AUTOSCALER = _closed(
    [],
    version={"enum": ["v1", "v2"]},
    idleTimeoutSeconds=_COUNT,
    upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
    resources=ELSEWHERE,
    securityContext=ELSEWHERE,
    env={"type": "array"},
    envFrom={"type": "array"},
    volumeMounts={"type": "array"},
)
HEAD = _closed(
    ["template"],
    rayStartParams=STRINGS,
    serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    template=ELSEWHERE,
)
WORKERS = _closed(
    ["groupName", "minReplicas", "maxReplicas", "template"],
    groupName={"type": "string", "pattern": "^[a-z0-9-]+$"},
    replicas=_COUNT,
    minReplicas=_COUNT,
    maxReplicas=_COUNT,
    idleTimeoutSeconds=_COUNT,
    rayStartParams=STRINGS,
    template=ELSEWHERE,
)
CLUSTER_SPEC = _closed(
    ["headGroupSpec"],
    rayVersion={"type": "string"},
    upgradeStrategy=_closed([], type={"enum": ["Recreate", "None"]}),
    authOptions=_closed([], mode={"enum": ["disabled", "token"]}, secretName={"type": "string"}),
    enableInTreeAutoscaling={"type": "boolean"},
    autoscalerOptions=AUTOSCALER,
    headGroupSpec=HEAD,
    workerGroupSpecs={"type": "array", "items": WORKERS},
)
JOB_SPEC = _closed(
    ["entrypoint"],
    entrypoint={"type": "string", "minLength": 1},
    clusterSelector=STRINGS,
    rayClusterSpec=CLUSTER_SPEC,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    submitterConfig=_closed([], backoffLimit=_COUNT),
    submitterPodTemplate=ELSEWHERE,
    activeDeadlineSeconds={"type": "integer", "minimum": 1},
    backoffLimit=_COUNT,
    runtimeEnvYAML={"type": "string"},
    entrypointNumCpus={"type": "number"},
    shutdownAfterJobFinishes={"type": "boolean"},
    ttlSecondsAfterFinished=_COUNT,
)


def _resource(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return _closed(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "ray.io/v1"},
        kind={"const": kind},
        metadata=ELSEWHERE,
        spec=spec,
    )


SCHEMAS = {
    "RayCluster": _resource("RayCluster", CLUSTER_SPEC),
    "RayJob": _resource("RayJob", JOB_SPEC),
}
