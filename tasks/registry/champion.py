"""The champion of a registered model: promoted, taken back, remembered.

The champions before are a tag of the model, so that a promotion can be taken back.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from emi_model.errors import ModelNotFound, RegistryError
from tasks.registry.client import ask, locked, mlflow_client
from tasks.registry.model_folders import (
    check_folder,
)
from tasks.registry.registry import _registered, find, folder_of, list_versions, what_there_is
from tasks.registry.version import (
    CHAMPION,
    Version,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPIONS_TAG = "champions"

MAX_CHAMPIONS = 100
"""How far back the history of champions goes; a tag holds 5,000 characters."""


def promote(name: str, number: int) -> Version:
    """Make a version the champion.

    Returns:
        The version, as it is then.

    Raises:
        ModelNotFound: there is no such version.
        RegistryError: its files cannot be loaded or are not what was registered; the champion is
            who it was.
    """
    version = find(str(number), name)
    _check_loads(version)
    client = mlflow_client()
    with locked():
        champion = _champion(list_versions(name))
        if champion != number:
            # First the history: whoever is killed behind it has the champion that was there, and
            # rolls back from that one.
            _remember(client, name, [*_champions_until(client, name, champion), number])
            ask(client.set_registered_model_alias, name, CHAMPION, str(number))
    return _crowned(version)


def rollback(name: str) -> Version:
    """Make the champion before the present one the champion again; once more goes further back.

    Returns:
        That version, as it is then.

    Raises:
        RegistryError: there is no champion before, or its files cannot be loaded; the champion is
            who it was.
    """
    client = mlflow_client()
    known = {version.number: version for version in list_versions(name)}
    champion = _champion(list(known.values()))
    before = [n for n in _champions_until(client, name, champion)[:-1] if n in known]
    if not before:
        raise RegistryError(
            f"{name} has no champion before this one; `emi models promote` takes any version: "
            f"{what_there_is(name, list(known.values()))}"
        )
    _check_loads(known[before[-1]])
    with locked():
        if _champion(list_versions(name)) != champion:
            raise RegistryError(
                f"{name}: another process changed the champion: look, and try again"
            )
        # First the alias: whoever is killed behind it is where he wanted to be.
        ask(client.set_registered_model_alias, name, CHAMPION, str(before[-1]))
        _remember(client, name, before)
    return _crowned(known[before[-1]])


def _check_loads(version: Version) -> None:
    try:
        check_folder(folder_of(version), version.sha256)
    except (ModelNotFound, RegistryError) as error:
        raise RegistryError(
            f"{version.reference} does not become champion, it cannot be used: {error}"
        ) from error


def _crowned(version: Version) -> Version:
    return replace(version, aliases=tuple(sorted({*version.aliases, CHAMPION})))


def _champion(known: list[Version]) -> int | None:
    return next((version.number for version in known if CHAMPION in version.aliases), None)


def _champions_until(client: MlflowClient, name: str, champion: int | None) -> list[int]:
    """Return the numbers of the champions so far; the last is the present one, if there is one.

    The alias has the last word: it may have been set by hand, or a promotion been cut short.
    """
    model = _registered(client, name)
    past = json.loads(model.tags.get(CHAMPIONS_TAG, "[]")) if model is not None else []
    if champion is None:
        return []
    if champion not in past:
        return [*past, champion]
    return past[: len(past) - past[::-1].index(champion)]


def _remember(client: MlflowClient, name: str, champions: list[int]) -> None:
    text = json.dumps(champions[-MAX_CHAMPIONS:])
    ask(client.set_registered_model_tag, name, CHAMPIONS_TAG, text)
