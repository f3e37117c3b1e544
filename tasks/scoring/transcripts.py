"""Transcripts in the results store: made from workers' rows, reused, and given to workers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tasks.corpus.clips import ClipFile
from tasks.schema.fields import checked
from tasks.schema.outcomes import Status
from tasks.schema.tables import TRANSCRIPTS
from tasks.schema.transcripts import HEARD, transcripts_schema
from tasks.scoring.commit import RunStamp
from tasks.scoring.reuse import MOVED_AT_ONCE, copied, pairs_table
from tasks.store.queries.clip_views import current_view
from tasks.store.store import ResultsStore

_WITHOUT_WORDS = """,
    NULL::VARCHAR AS text,
    list_transform(segments, lambda one: struct_update(one, text := NULL::VARCHAR)) AS segments"""

_COPIES = """\
SELECT rows.* REPLACE (
    reused.clip_id AS clip_id,
    reused.uri AS uri,
    reused.modified_ns AS modified_ns,
    NULL::DOUBLE AS transcribe_seconds,
    $run_id AS run_id,
    $now AS transcribed_at{words}
)
FROM {view} AS rows JOIN reused ON rows.clip_id = reused.source_id
WHERE asr_key IN ($asr_key, $cut_key)"""

_MOVED = """\
SELECT rows.* REPLACE (
    reused.uri AS uri,
    reused.modified_ns AS modified_ns,
    transcribed_at + INTERVAL 1 MICROSECOND AS transcribed_at
)
FROM {view} AS rows JOIN reused ON rows.clip_id = reused.source_id
WHERE asr_key IN ($asr_key, $cut_key)"""


def cut_key(asr_key: str, max_seconds: float | None) -> str:
    """Return 12 hex digits over what decides the text of a clip that is cut off.

    Args:
        asr_key: over what decides that of a whole clip.
        max_seconds: after which it is cut off; None: nowhere.
    """
    if max_seconds is None:
        return asr_key
    return hashlib.sha256(json.dumps([asr_key, max_seconds]).encode()).hexdigest()[:12]


def transcripts_table(heard: pa.Table, asr: Mapping[str, str], stamp: RunStamp) -> pa.Table:
    """Return rows of the table ``transcripts`` from rows under `HEARD`.

    Args:
        heard: the rows; further columns are left out.
        asr: columns that name the ASR model and how it was used.
        stamp: of the run.

    Raises:
        StoreError: a row does not fit the schema.
    """
    schema = transcripts_schema()
    same = {**asr, "run_id": stamp.run_id, "transcribed_at": stamp.clock.now()}
    for name in schema.names:
        if name not in HEARD.names:
            value = pa.scalar(same[name], schema.field(name).type)
            heard = heard.append_column(name, pa.repeat(value, heard.num_rows))
    return checked(heard.select(schema.names), schema)


def copied_transcripts(
    store: ResultsStore,
    reused: Sequence[tuple[ClipFile, str]],
    keys: tuple[str, str],
    stamp: RunStamp,
    *,
    keep_text: bool = True,
    moved: bool = False,
) -> pa.Table:
    """Return transcripts of clips whose content has one under another name, or in another place.

    Args:
        store: the store.
        reused: each clip with the id of the clip that has the transcript.
        keys: ``asr_key`` of whole clips and of those that are cut off.
        stamp: of the run.
        keep_text: keep what was said.
        moved: the clips themselves have them, and only their places change.
    """
    view = current_view(TRANSCRIPTS)
    words = "" if keep_text else _WITHOUT_WORDS
    sql = (_MOVED if moved else _COPIES).format(view=view, words=words)
    parameters = {
        "asr_key": keys[0],
        "cut_key": keys[1],
        "run_id": stamp.run_id,
        "now": stamp.clock.now(),
    }
    return copied(store, pairs_table(reused), [view], sql, parameters, transcripts_schema())


def reuse_transcripts(
    store: ResultsStore,
    reused: Sequence[tuple[ClipFile, str]],
    keys: tuple[str, str],
    stamp: RunStamp,
    *,
    keep_text: bool,
) -> pa.Table:
    """Commit transcripts of clips whose content has one under another name; return them.

    Args:
        store: locked by this process.
        reused: as for `copied_transcripts`, as all that follow.
        keys: likewise.
        stamp: likewise.
        keep_text: likewise.
    """
    rows = copied_transcripts(store, reused, keys, stamp, keep_text=keep_text)
    store.commit(f"{stamp.run_id}-adopted", {TRANSCRIPTS: rows})
    return rows


def renew_transcripts(
    store: ResultsStore,
    moved: Sequence[ClipFile],
    keys: tuple[str, str],
    stamp: RunStamp,
    *,
    keep_text: bool,
) -> None:
    """Commit the transcripts of clips with where these lie now, and the files' times.

    Args:
        store: locked by this process.
        moved: the clips.
        keys: as for `copied_transcripts`, as all that follow.
        stamp: likewise.
        keep_text: likewise.
    """
    for number, first in enumerate(range(0, len(moved), MOVED_AT_ONCE)):
        pairs = [(clip, clip.clip_id) for clip in moved[first : first + MOVED_AT_ONCE]]
        rows = copied_transcripts(store, pairs, keys, stamp, keep_text=keep_text, moved=True)
        store.commit(f"{stamp.run_id}-moved-{number:05d}", {TRANSCRIPTS: rows})


def known_transcripts(
    store: ResultsStore, clips: Sequence[ClipFile], keys: tuple[str, str]
) -> pa.Table:
    """Return the transcripts, with their words, that may be of these clips' contents.

    Args:
        store: the store.
        clips: clips of a pass; a content is of a clip only if they have the same size.
        keys: ``asr_key`` of whole clips and of those that are cut off.
    """
    wanted = ds.field("asr_key").isin(list(keys)) & ~ds.field("text").is_null()
    wanted &= ds.field("status") == Status.TRANSCRIBED.value
    sizes = {clip.size for clip in clips}
    if None not in sizes:
        wanted &= ds.field("bytes").isin(pa.array(sorted(sizes), pa.int64()))  # type: ignore[type-var]
    found = store.rows(TRANSCRIPTS, transcripts_schema(), wanted, HEARD.names)
    named = pc.is_in(found["clip_id"], pa.array([clip.clip_id for clip in clips]))
    return pa.concat_tables([found.filter(pc.invert(named)), found.filter(named)])
