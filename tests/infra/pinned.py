"""What compose.yaml and the Kubernetes files are both held to."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from tests.infra.containerfile import ROOT

_IMAGE = re.compile(r"(?P<name>[a-z0-9.-]+(?:/[a-z0-9._-]+)*):v?\d+\.\d+[\w.-]*(?:@sha256:\w{64})?")
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|AUTH_STRING|SIGNING_KEY|ACCESS_KEY|BACKEND_STORE_URI")

COMMANDS = {"emi", "prefect", "ray", "python", "driver"}
"""What a container of our image may start; the last one is infra/driver.sh."""


def is_pinned(image: str) -> bool:
    """Tell whether an image is named with a version."""
    return _IMAGE.fullmatch(image) is not None


def is_secret(variable: str) -> bool:
    """Tell whether a variable holds what must not be written down in a file of the repository."""
    return _SECRET.search(variable) is not None


def own_image(target: str) -> str:
    """Return how our image of this version is named."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['name']}:{project['version']}-{target}"


def constraint(package: str) -> str:
    """Return the version that constraints.txt pins a package to."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (version,) = (line.partition("==")[2] for line in lines if line.startswith(f"{package}=="))
    return version


def values(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and value of a document, however deep."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield key, value
            yield from values(value)
    elif isinstance(tree, list):
        for each in tree:
            yield from values(each)
