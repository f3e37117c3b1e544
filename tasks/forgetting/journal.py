"""What is being forgotten, as a file of the store until it is done: a call that is killed goes on.

STORE/forgetting/ID.json    clips, contents, places, speakers; how much of each there was
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from emi_model.errors import StoreError
from tasks.forgetting.wanted import WantedClips
from tasks.store.store import ResultsStore

FORGETTING = "forgetting"
"""Folder of the store that `emi forget --results` names."""


@dataclass(frozen=True)
class Amount:
    """How much there is of some clips.

    Attributes:
        num_rows: rows by table, of each store by its location.
        num_texts: files with texts that name them.
        num_cached: files of cached audio and features.
        num_models: registered versions that were trained on them; None if the registry does not
            say it.
    """

    num_rows: dict[str, dict[str, int]]
    num_texts: int = 0
    num_cached: int = 0
    num_models: int | None = None


@dataclass(frozen=True)
class UnderWay:
    """A forgetting that has begun.

    Attributes:
        forgetting_id: its id.
        begun_at: when.
        wanted: the clips.
        amount: what there was when it began.
    """

    forgetting_id: str
    wanted: WantedClips
    amount: Amount
    begun_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def file(self) -> str:
        """Its file in the store."""
        return f"{FORGETTING}/{self.forgetting_id}.json"

    def write(self, store: ResultsStore) -> None:
        """Write it down before anything is removed; StoreError if it cannot be."""
        wanted = {name: sorted(values) for name, values in asdict(self.wanted).items()}
        content = {"wanted": wanted, "amount": asdict(self.amount)}
        text = json.dumps({**content, "begun_at": self.begun_at.isoformat()})
        with store.storage_errors():
            store.folder.write(self.file, text.encode())

    def close(self, store: ResultsStore) -> None:
        """Remove the file: all is done; StoreError if it cannot be."""
        with store.storage_errors():
            store.folder.remove(self.file)


def begun_before(store: ResultsStore) -> list[UnderWay]:
    """Return the forgettings of a store that were killed, the oldest first.

    Raises:
        StoreError: one cannot be read.
    """
    with store.storage_errors():
        names = sorted(file.name for file in store.folder.files(FORGETTING))
        contents = {name: store.folder.read(name) for name in names if name.endswith(".json")}
    try:
        return [_parsed(name, json.loads(content)) for name, content in contents.items()]
    except (ValueError, LookupError, TypeError) as error:
        raise StoreError(
            f"{store.location}/{FORGETTING}: a file is damaged ({error!r}): remove it, and forget "
            "again"
        ) from error


def _parsed(name: str, content: dict[str, Any]) -> UnderWay:
    wanted = {field: frozenset(values) for field, values in content["wanted"].items()}
    return UnderWay(
        name.removeprefix(f"{FORGETTING}/").removesuffix(".json"),
        WantedClips(**wanted),
        Amount(**content["amount"]),
        datetime.fromisoformat(content["begun_at"]),
    )
