"""Adding metadata: a file and a store become a new version, or a list of all that is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from emi_model.errors import MetadataError, StoreError
from tasks.labels.label_columns import RESERVED, SPEAKER
from tasks.labels.label_file import Problem
from tasks.labels.matching import ClipNames
from tasks.labels.offered import Reading
from tasks.metadata.metadata_file import MetadataFile, MetadataKey, read_metadata_file
from tasks.metadata.versions import merged_table, newest_version, own_columns, write_version
from tasks.schema.metadata import ADDED_COLUMNS, CLIP_ID, FOLDER
from tasks.store.query import answer
from tasks.store.store import ResultsStore, open_store

MAX_VERSION_TRIES = 100
_MAX_SHOWN = 5

_CLIP_IDS = "SELECT clip_id FROM scores UNION SELECT clip_id FROM labels ORDER BY clip_id"
_KNOWN = {
    "clip_id": f"SELECT false AS is_column, clip_id AS name FROM ({_CLIP_IDS})",
    "speaker": "SELECT DISTINCT false AS is_column, speaker AS name FROM clips "
    "WHERE speaker IS NOT NULL ORDER BY speaker",
}
_COLUMNS = "SELECT true AS is_column, column_name AS name FROM (DESCRIBE clips)"
_JOINED = {
    "clip_id": "SELECT count(*) AS clips, count(known.clip_id) AS joined "
    "FROM scores LEFT JOIN clip_metadata AS known USING (clip_id)",
    "speaker": "SELECT count(*) AS clips, count(known.speaker) AS joined "
    "FROM clips LEFT JOIN speaker_metadata AS known USING (speaker)",
}


@dataclass(frozen=True)
class AddedMetadata:
    """What adding a metadata file did.

    Attributes:
        of: clips or speakers.
        number: of the newest version.
        is_new: whether it was made now; else the store knew all of the file already.
        num_rows: clips or speakers in the file.
        columns: the columns of the study, those of earlier files among them.
        num_clips: clips of the store.
        num_joined: of these, those that have metadata of this kind.
        notes: how the file was read, which names the store does not know.
    """

    of: str
    number: int
    is_new: bool
    num_rows: int
    columns: tuple[str, ...]
    num_clips: int
    num_joined: int
    notes: tuple[str, ...] = ()


def add_metadata(
    location: str | Path, path: str | Path, key: str | None = None, *, ignore: Sequence[str] = ()
) -> AddedMetadata:
    """Add a metadata file to a store as a new version, whole or not at all.

    A column of the file counts for the clips or speakers of the file, also where a cell is empty;
    all other columns and rows stay as earlier files gave them.

    Args:
        location: of the store.
        path: CSV or Parquet, on a disk or in a bucket.
        key: as `tasks.metadata.metadata_file.read_metadata_file` has it.
        ignore: columns to leave out.

    Raises:
        MetadataError: something is wrong with the file; the message lists all of it by line.
        StoreError: no store there, or it cannot be written.
    """
    store = open_store(location)
    file = read_metadata_file(str(path), key, ignore=ignore)
    known, taken = _known(store, file.key)
    others = own_columns(newest_version(store, _other(file.key))[1])
    problems = [
        Problem(1, f"{name} is a column of {_other(file.key)} already: rename it, or --ignore it")
        for name in file.columns
        if name in others and name != SPEAKER
    ]
    problems += [
        Problem(1, f"the store has a column {name} already: rename it, or --ignore {name}")
        for name in file.columns
        if name in taken and (name, file.key) != (SPEAKER, CLIP_ID)
    ]
    names, wrong, notes = _names(file, known)
    problems += [*file.problems, *wrong]
    if problems:
        raise file.error(problems)
    return _added(store, file.key, names, file.columns, Path(file.path).name, file.notes + notes)


def add_speakers(location: str | Path, pattern: str) -> AddedMetadata:
    """Record the speakers of all clips of a store, as their paths name them.

    Args:
        location: of the store.
        pattern: as `tasks.labels.offered.Reading` has it: ``{speaker}`` is the first folder.

    Raises:
        ConfigError: the pattern has no ``{speaker}``.
        MetadataError: no path fits it.
        StoreError: no store there, or it cannot be written.
    """
    reading = Reading(speaker_from=pattern)
    store = open_store(location)
    clip_ids = answer(store.location, _CLIP_IDS)["clip_id"].to_pylist()
    found = {clip_id: reading.speaker_of(clip_id) for clip_id in clip_ids}
    named = {clip_id: speaker for clip_id, speaker in found.items() if speaker}
    if not named:
        like = f" such as {clip_ids[0]}" if clip_ids else ""
        raise MetadataError(
            f"none of {len(clip_ids)} clips{like} begins as {pattern!r}: '{{speaker}}' is the "
            "first folder, '*/{speaker}_*' the name before _ in the second"
        )
    notes = _some("clips do not begin so", [one for one in clip_ids if one not in named])
    columns = {SPEAKER: pa.array(list(named.values()), pa.string())}
    return _added(store, "clip_id", list(named), columns, f"paths as {pattern}", tuple(notes))


def _known(store: ResultsStore, key: MetadataKey) -> tuple[list[str], set[str]]:
    """Return the clips or speakers of a store, and the names that no column of a study may have."""
    found = answer(store.location, f"{_COLUMNS} UNION ALL FROM ({_KNOWN[key]})").to_pylist()
    own = {
        *own_columns(newest_version(store, "clip_id")[1]),
        *own_columns(newest_version(store, "speaker")[1]),
    }
    shown = {row["name"] for row in found if row["is_column"]}
    taken = {*RESERVED, *shown - own, *ADDED_COLUMNS, FOLDER.name, CLIP_ID, SPEAKER}
    return [row["name"] for row in found if not row["is_column"]], taken


def _added(
    store: ResultsStore,
    key: MetadataKey,
    names: Sequence[str],
    columns: Mapping[str, pa.Array],
    file: str,
    notes: tuple[str, ...],
) -> AddedMetadata:
    """Write the new version; in a bucket, or on a disk, another process may be first."""
    for _ in range(MAX_VERSION_TRIES):
        number, old = newest_version(store, key)
        table = merged_table(old, key, names, columns)
        is_new = old is None or not _same(old, table, key)
        if not is_new or write_version(store, key, number + 1, table, file, datetime.now(UTC)):
            joined = answer(store.location, _JOINED[key]).to_pylist()[0]
            return AddedMetadata(
                of="clips" if key == CLIP_ID else "speakers",
                number=number + is_new,
                is_new=is_new,
                num_rows=len(names),
                columns=tuple(own_columns(newest_version(store, key)[1])),
                num_clips=joined["clips"],
                num_joined=joined["joined"],
                notes=notes,
            )
    raise StoreError(f"{store.location}: others add metadata all the time: try again later")


def _same(old: pa.Table, new: pa.Table, key: MetadataKey) -> bool:
    """Return whether a version would hold what the one before it does."""
    names = [name for name in old.schema.names if name not in ADDED_COLUMNS]
    if set(new.schema.names) - set(names):
        return False
    ordered = new.sort_by(key)
    return all(
        ordered[name].equals(old[name]) if name in new.schema.names else not old[name].is_valid()
        for name in names
    )


def _names(
    file: MetadataFile, known: Sequence[str]
) -> tuple[list[str], list[Problem], tuple[str, ...]]:
    """Return the clips or speakers of the rows, what is wrong with them, and notes.

    Clips may be named as in label files: by the whole path, or the bare name of one clip.
    """
    clips = ClipNames(known if file.key == CLIP_ID else ())
    first: dict[str, int] = {}
    names, unknown, problems = [], [], []
    what = "clip" if file.key == CLIP_ID else "speaker"
    is_known = set(known)
    for line, written in zip(file.lines, file.names, strict=True):
        fitting = clips.named(written) if file.key == CLIP_ID else [written]
        if len(fitting) > 1:
            text = f"{written!r} may be {', '.join(sorted(fitting)[:3])}: write the whole path"
            problems.append(Problem(line, text))
            continue
        name = fitting[0] if fitting else written
        if name in first:
            text = f"the {what} {name} again, as in {file.counted_in} {first[name]}"
            problems.append(Problem(line, text))
            continue
        first[name] = line
        names.append(name)
        if name not in is_known:
            unknown.append(name)
    if unknown and len(unknown) == len(names) and known:
        problems.append(Problem(1, _none_known(what, unknown, known)))
    notes = _some(f"{what}s are not in the store yet", unknown)
    if what == "speaker" and not known:
        notes = [
            "no clip of the store names its speaker yet: take it from the paths, "
            "`emi metadata speakers '{speaker}/*'` is the first folder; or add a file of clips "
            "with a column speaker"
        ]
    return names, problems, tuple(notes)


def _none_known(what: str, unknown: Sequence[str], known: Sequence[str]) -> str:
    other = "speaker" if what == "clip" else "clip_id"
    return (
        f"no {what} of the file ({', '.join(unknown[:_MAX_SHOWN])}) is in the store "
        f"({', '.join(known[:_MAX_SHOWN])}): write them alike, or --key {other}=COLUMN"
    )


def _some(what: str, names: Collection[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(list(names)[:_MAX_SHOWN])
    more = ", ..." if len(names) > _MAX_SHOWN else ""
    return [f"{len(names)} {what}: {shown}{more}"]


def _other(key: MetadataKey) -> MetadataKey:
    return "speaker" if key == CLIP_ID else "clip_id"
