"""Which clips are to be forgotten, and by what they are known: contents, places, speakers."""

from __future__ import annotations

import difflib
import fnmatch
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from emi_model.errors import CorpusError
from tasks.forgetting.spelling import Spellings
from tasks.schema.registers import TABLE_SCHEMAS
from tasks.schema.tables import COMPANIONS, EXPLANATIONS, LABELS, SCORES, TABLES, TRANSCRIPTS
from tasks.store.store import ResultsStore

ROWS_OF_CLIPS = tuple(table for table in TABLES if "clip_id" in TABLE_SCHEMAS[table].names)
"""Tables with a row, or several, a clip."""

NAMED_AS_TYPED = (EXPLANATIONS,)
"""Those whose clip ids are paths as somebody typed them: a clip is known by its file, too."""

ROWS_OF_SPEAKERS = tuple(
    table
    for table in TABLES
    if table not in ROWS_OF_CLIPS and "speaker" in TABLE_SCHEMAS[table].names
)
"""Tables with a row a speaker."""

_SPEAKERS_OF_CLIPS = tuple(
    table for table in ROWS_OF_CLIPS if {"speaker", "number"} <= set(TABLE_SCHEMAS[table].names)
)
"""Tables in versions: of a clip, the row of the highest number says who speaks."""

_NUM_MEANT = 3


@dataclass(frozen=True)
class WantedClips:
    """Clips that are to be forgotten.

    Attributes:
        clip_ids: their ids.
        contents: hashes of their files, hex.
        places: where their files were found: paths as URIs, or names of objects.
        speakers: who is to be forgotten: who was named, or is heard in none of the clips that stay.
        shared: those of the contents that clips that stay have, too.
        same_content: these clips.
    """

    clip_ids: frozenset[str]
    contents: frozenset[str]
    places: frozenset[str] = frozenset()
    speakers: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    same_content: frozenset[str] = frozenset()

    @property
    def own_contents(self) -> frozenset[str]:
        """The contents that no clip that stays has."""
        return self.contents - self.shared

    @cached_property
    def spellings(self) -> Spellings:
        """Their names, to be found in texts."""
        return Spellings([*self.clip_ids, *self.places])


def clips_meant(
    stores: Sequence[ResultsStore], pattern: str | None, speaker: str | None
) -> WantedClips:
    """Return the clips that a pattern or a speaker means.

    Args:
        stores: where to look.
        pattern: a clip id, or where no clip is called so, one with ``*``, ``?``, ``[...]`` for any
            letters, slashes among them.
        speaker: who speaks, by metadata or labels.

    Raises:
        CorpusError: none is meant.
        StoreError: a store cannot be read.
    """
    if pattern is not None:
        clip_ids, others = _matching(stores, pattern)
        speakers = _only_heard_in(stores, clip_ids)
    else:
        clip_ids, speakers, others = _spoken_by(stores, speaker or "")
    if not clip_ids and not speakers:
        what = f"clip fits {pattern!r}" if pattern is not None else f"clip is of {speaker!r}"
        raise CorpusError(f"no {what} in {_places(stores)}{_meant(pattern or speaker, others)}")
    of_these = ds.field("clip_id").isin(pa.array(sorted(clip_ids), pa.string()))
    contents, places = set[str](), set[str]()
    for _, found, uri in _identities(stores, of_these):
        contents |= {found} if found else set()
        places |= {uri} if uri else set()
    with_these = ds.field("content_sha256").isin(pa.array(sorted(contents), pa.string()))
    staying = list(_identities(stores, with_these & ~of_these))
    return WantedClips(
        frozenset(clip_ids),
        frozenset(contents),
        frozenset(places),
        frozenset(speakers),
        frozenset(content for _, content, _ in staying if content),
        frozenset(clip_id for clip_id, _, _ in staying),
    )


def _matching(stores: Sequence[ResultsStore], pattern: str) -> tuple[set[str], set[str]]:
    """Return the clip ids that a pattern means, and all others."""
    composed = unicodedata.normalize("NFC", pattern)
    fits = re.compile(fnmatch.translate(composed)).fullmatch
    every = {clip_id for store in stores for clip_id in all_clip_ids(store)}
    names = {one: unicodedata.normalize("NFC", one) for one in every}
    found = {one for one, name in names.items() if name == composed}
    if not found:  # a clip that has this very name, as ``take[1].mp4``, is meant alone
        found = {one for one, name in names.items() if fits(name)}
    return found, every - found


def all_clip_ids(store: ResultsStore) -> set[str]:
    """Return every clip that a table of a store has a row of; companions have none of their own.

    Raises:
        StoreError: the store cannot be read.
    """
    found = set[str]()
    for table in (table for table in ROWS_OF_CLIPS if table not in COMPANIONS):
        rows = store.rows(table, TABLE_SCHEMAS[table], ds.scalar(True), ["clip_id"])
        found |= set(pc.unique(rows["clip_id"]).to_pylist())
    return found


def _spoken_by(stores: Sequence[ResultsStore], speaker: str) -> tuple[set[str], set[str], set[str]]:
    """Return the clips of a speaker, the ways its name is composed, and all other speakers."""
    clips = _clips_by_speaker(stores)
    names = set(clips)
    for store in stores:
        for table in ROWS_OF_SPEAKERS:
            rows = store.rows(table, TABLE_SCHEMAS[table], ds.scalar(True), ["speaker"])
            names |= set(rows["speaker"].to_pylist())
    composed = unicodedata.normalize("NFC", speaker)
    meant = {name for name in names if unicodedata.normalize("NFC", name) == composed}
    spoken = {clip_id for name in meant for clip_id in clips.get(name, ())}
    return spoken, meant, names - meant


def _only_heard_in(stores: Iterable[ResultsStore], clip_ids: Set[str]) -> set[str]:
    """Return the speakers all of whose clips are among these."""
    return {name for name, clips in _clips_by_speaker(stores).items() if clips <= clip_ids}


def _clips_by_speaker(stores: Iterable[ResultsStore]) -> dict[str, set[str]]:
    clips: dict[str, set[str]] = {}
    for store in stores:
        for table in _SPEAKERS_OF_CLIPS:
            for clip_id, speaker in _latest_speakers(store, table).items():
                if speaker:
                    clips.setdefault(speaker, set()).add(clip_id)
    return clips


def _latest_speakers(store: ResultsStore, table: str) -> Mapping[str, str | None]:
    columns = ["clip_id", "speaker", "number"]
    rows = store.rows(table, TABLE_SCHEMAS[table], ds.scalar(True), columns).sort_by("number")
    return dict(zip(rows["clip_id"].to_pylist(), rows["speaker"].to_pylist(), strict=True))


def _identities(
    stores: Iterable[ResultsStore], wanted: ds.Expression
) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield clip id, content and place of each row."""
    for store in stores:
        for table in (SCORES, TRANSCRIPTS, LABELS):
            columns = ["clip_id", "content_sha256", *(["uri"] if table != LABELS else [])]
            rows = store.rows(table, TABLE_SCHEMAS[table], wanted, columns)
            rows = rows.group_by(columns).aggregate([])
            uris = rows["uri"].to_pylist() if "uri" in columns else [None] * rows.num_rows
            ids, contents = (rows[name].to_pylist() for name in columns[:2])
            yield from zip(ids, contents, uris, strict=True)


def _places(stores: Iterable[ResultsStore]) -> str:
    return ", ".join(store.location for store in stores)


def _meant(name: str | None, others: Iterable[str]) -> str:
    close = difflib.get_close_matches(name or "", list(others), _NUM_MEANT)
    return f": did you mean {' or '.join(close)}?" if close else ""
