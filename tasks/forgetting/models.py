"""The registered models that were trained on clips: they keep what they have learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from emi_model.errors import CheckpointError, RegistryError
from tasks.registry.registry import all_versions
from tasks.registry.trained_on import trained_on
from tasks.registry.version import Version


@dataclass(frozen=True)
class TrainedVersion:
    """A version that was trained on clips, or of which it is not known.

    Attributes:
        version: as registered.
        num_train: clips that it learnt from; None if nothing says it.
        num_valid: clips that chose its epoch and calibrated it; None likewise.
        why: why it is not known; empty if it is.
    """

    version: Version
    num_train: int | None = None
    num_valid: int | None = None
    why: str = ""


def versions_trained_on(contents: Collection[str], stores: Sequence[str]) -> list[TrainedVersion]:
    """Return the versions that were trained on some contents, and those of which nothing says it.

    Args:
        contents: hashes of clips' files, hex.
        stores: where label snapshots are looked for.

    Raises:
        RegistryError: the registry cannot be read.
    """
    found = []
    for version in all_versions():
        try:
            known = trained_on(version, stores)
        except (CheckpointError, RegistryError) as error:
            found.append(TrainedVersion(version, why=str(error)))
            continue
        if known.origin == "unknown":
            why = "it does not say what it was trained on, and no store has its labels"
            found.append(TrainedVersion(version, why=why))
            continue
        counts = Counter(split for content, split in known.splits.items() if content in contents)
        if counts:
            found.append(TrainedVersion(version, counts["train"], counts["valid"]))
    return found
