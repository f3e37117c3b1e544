"""The champion of a registered model: promote a version, or roll back to the one before.

A tag of the model lists the earlier champions, so that a promotion can be undone. A tag of a
version shows that it was rolled back, so that no retraining promotes it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from emi_model.errors import ModelNotFound, RegistryError
from tasks.registry.client import ask, locked, mlflow_client
from tasks.registry.model_folders import check_folder
from tasks.registry.registry import (
    describe_registered,
    find,
    find_registered,
    folder_of,
    list_versions,
)
from tasks.registry.version import CHAMPION, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPIONS_TAG = "champions"
ROLLED_BACK_TAG = "rolled_back_at"

MAX_CHAMPIONS = 100
"""Champions that the history keeps; a tag holds 5,000 characters."""


def promote(name: str, number: int) -> Version:
    """Make a version the champion; it no longer counts as rolled back.

    Returns:
        The version with its new alias.

    Raises:
        ModelNotFound: there is no such version.
        RegistryError: its files cannot be loaded or are not what was registered; the champion does
            not change.
    """
    version = find(str(number), name)
    _check_loads(version)
    client = mlflow_client()
    with locked():
        _make_champion(client, version, _champion(list_versions(name)))
        if ROLLED_BACK_TAG in version.tags:
            ask(client.delete_model_version_tag, name, str(number), ROLLED_BACK_TAG)
    return _with_alias(version)


@contextmanager
def promoting(version: Version, over: Version | None) -> Iterator[Version]:
    """Make a version the champion at the end of the block, if the champion is still that one.

    The block records the decision: it runs only if nothing stands against the promotion. No other
    process of this machine changes the registry meanwhile.

    Args:
        version: that won.
        over: the champion that it was compared with; None if there was none.

    Yields:
        The version with its new alias.

    Raises:
        RegistryError: the champion is another by now, the version was rolled back, or its files
            cannot be loaded; the block does not run.
    """
    _check_loads(version)
    client = mlflow_client()
    with locked():
        expected = None if over is None else over.number
        champion = _champion(list_versions(version.name))
        why = None
        if champion != expected:
            was, now = ("none" if n is None else f"version {n}" for n in (expected, champion))
            why = f"the champion changed meanwhile, it was {was} and is {now}"
        elif ROLLED_BACK_TAG in find(version.reference).tags:
            why = f"version {version.number} was rolled back meanwhile"
        if why is not None:
            raise RegistryError(
                f"{version.name}: {why}: version {version.number} is not promoted; run it again"
            )
        yield _with_alias(version)
        _make_champion(client, version, champion)


def _make_champion(client: MlflowClient, version: Version, champion: int | None) -> None:
    name, number = version.name, version.number
    if champion != number:
        # First the history: if this process is killed before the alias is set, the champion is
        # still the old one, and a rollback starts from that one.
        _write_history(client, name, [*_champions_until(client, name, champion), number])
        ask(client.set_registered_model_alias, name, CHAMPION, str(number))


def was_rolled_back(version: Version, champion: Version | None) -> bool:
    """Return whether a person took the title from a version, and has not given it back since.

    Args:
        version: as the registry has it now.
        champion: the present one; None if there is none.

    Returns:
        True after `rollback`, and where ``champion`` became champion again after the version had
        followed it, as by `emi models promote`.

    Raises:
        RegistryError: the registry cannot be read.
    """
    if ROLLED_BACK_TAG in version.tags:
        return True
    if champion is None:
        return False
    past = _champions_until(mlflow_client(), version.name, champion.number)
    return (champion.number, version.number) in pairwise(past)


def rollback(name: str) -> Version:
    """Make the champion before the present one the champion again; a second call goes further back.

    The version that was champion until now is marked: `emi retrain` does not promote it again.

    Returns:
        That version with its new alias.

    Raises:
        RegistryError: there is no champion before, or its files cannot be loaded; the champion does
            not change.
    """
    client = mlflow_client()
    versions = {version.number: version for version in list_versions(name)}
    champion = _champion(list(versions.values()))
    before = [n for n in _champions_until(client, name, champion)[:-1] if n in versions]
    if not before:
        raise RegistryError(
            f"{name} has no champion before this one; `emi models promote --name {name} NUMBER` "
            "takes any version: "
            f"{describe_registered(name, list(versions.values()))}"
        )
    _check_loads(versions[before[-1]])
    with locked():
        if _champion(list_versions(name)) != champion:
            raise RegistryError(
                f"{name}: another process changed the champion: look, and try again"
            )
        # First the mark: the next retraining must not undo a rollback that is done. Then the alias:
        # if this process is killed after it, the rollback is done all the same.
        now = datetime.now(UTC).isoformat(timespec="seconds")
        ask(client.set_model_version_tag, name, str(champion), ROLLED_BACK_TAG, now)
        ask(client.set_registered_model_alias, name, CHAMPION, str(before[-1]))
        _write_history(client, name, before)
    return _with_alias(versions[before[-1]])


def _check_loads(version: Version) -> None:
    try:
        check_folder(folder_of(version), version.sha256)
    except (ModelNotFound, RegistryError) as error:
        raise RegistryError(
            f"{version.reference} does not become champion, it cannot be used: {error}"
        ) from error


def _with_alias(version: Version) -> Version:
    return replace(version, aliases=tuple(sorted({*version.aliases, CHAMPION})))


def _champion(versions: list[Version]) -> int | None:
    return next((version.number for version in versions if CHAMPION in version.aliases), None)


def _champions_until(client: MlflowClient, name: str, champion: int | None) -> list[int]:
    """Return the numbers of the champions so far; the last is the present one, if there is one.

    Where history and alias differ, the alias decides: someone may have set it by hand, or a
    promotion may have been cut short.
    """
    model = find_registered(client, name)
    past = json.loads(model.tags.get(CHAMPIONS_TAG, "[]")) if model is not None else []
    if champion is None:
        return []
    if champion not in past:
        return [*past, champion]
    return past[: len(past) - past[::-1].index(champion)]


def _write_history(client: MlflowClient, name: str, champions: list[int]) -> None:
    text = json.dumps(champions[-MAX_CHAMPIONS:])
    ask(client.set_registered_model_tag, name, CHAMPIONS_TAG, text)
