"""The views over clips as they are once opened: what is true of the whole store is found out once.

`tasks.store.queries.clip_views` gives the same answers without that, for any DuckDB client: its
views compare every row with every other at every question. Here each row that is not the latest of
its clip is known by its place in its file; where there is none, a view is a plain scan of files.
Which model is current, and whether any clip is missing, is written into the views.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from tasks.schema.tables import COMPANIONS, CURRENT_MODEL, MISSING_CLIPS, SCORES, TRANSCRIPTS
from tasks.store.paths import EMPTY_PART, Part
from tasks.store.queries.clip_views import all_view, current_view, every_view
from tasks.store.queries.latest import (
    KEYS,
    Sorted,
    find_lost_rows,
    latest_rows,
    lost_rows,
    read_claims,
    sorted_parts,
)
from tasks.store.queries.quoting import path_pattern, quoted, quoted_name, text_list
from tasks.store.queries.transcript_views import IS_SHOWN

_ALL = """\
SELECT row.* EXCLUDE (part), {is_current} AS is_current, {missing_since} AS missing_since
FROM {rows} AS row"""
_WITH_MISSING = """
LEFT JOIN (
    SELECT clip_id, any_value(missing_since) AS missing_since FROM read_parquet({missing})
    GROUP BY clip_id
) AS gone ON row.clip_id = gone.clip_id"""
"""Of a clip one row: so DuckDB leaves the join out of questions that do not ask what is missing."""

_COMPANION = """\
SELECT rows.* EXCLUDE (filename), parse_filename(rows.filename, true) AS part
FROM read_parquet({files}, union_by_name = true, filename = true, hive_partitioning = false)
    AS rows"""

_SCORED_BY = """
SELECT
    file_name,
    any_value(stats_min_value) FILTER (path_in_schema = 'model_sha256') AS model_sha256,
    any_value(stats_min_value) FILTER (path_in_schema = 'coverage') AS coverage,
    epoch_us(any_value(stats_max_value) FILTER (path_in_schema = 'scored_at')::TIMESTAMPTZ),
    bool_and(stats_min_value = stats_max_value) FILTER (path_in_schema != 'scored_at'),
    any_value(row_group_num_rows)
FROM parquet_metadata({files})
WHERE row_group_num_rows > 0 AND path_in_schema IN ('model_sha256', 'coverage', 'scored_at')
GROUP BY file_name, row_group_id
ORDER BY file_name, row_group_id"""

_MIXED = """\
SELECT model_sha256, coverage, scored_at
FROM read_parquet({file}, file_row_number = true, hive_partitioning = false)
WHERE file_row_number BETWEEN {first} AND {last}"""
"""Rows of a file by their places: DuckDB reads the row groups that they are in, and no other."""

_Scored = tuple[str, str]
"""A model's hash and a coverage."""


class Opening:
    """Makes views over the clips of some parts, on one connection.

    Attributes:
        views: their bodies by name, in place of those of `clip_views` and `transcript_views`.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        root: Path,
        parts: Iterable[Part],
        wanted: Collection[str],
    ) -> None:
        """Look through the parts, as far as the wanted views need it.

        Args:
            connection: with the schema `WITHIN`.
            root: folder of the store on this machine.
            parts: of all tables that the views read.
            wanted: names of views.

        Raises:
            duckdb.Error: a part cannot be read.
        """
        self.views: dict[str, str] = {}
        self._connection = connection
        self._root = root
        self._parts: dict[str, list[Part]] = {}
        for part in parts:
            self._parts.setdefault(part.table, []).append(part)
        self._missing = self._file_with_rows(MISSING_CLIPS)
        if current_view(SCORES) in wanted and SCORES in self._parts:
            self._open_scores(wanted)
        if current_view(TRANSCRIPTS) in wanted and TRANSCRIPTS in self._parts:
            self._open_transcripts()
        for table in COMPANIONS:
            if every_view(table) in wanted and table in self._parts:
                self.views[every_view(table)] = _COMPANION.format(
                    files=self._files(self._parts[table])
                )

    def _open_scores(self, wanted: Collection[str]) -> None:
        found, lost = self._latest(SCORES)
        companions = [
            table for table in COMPANIONS if current_view(table) in wanted and table in self._parts
        ]
        for table in companions:
            self.views[current_view(table)] = self._companion(table, found, lost)
        shown = self._shown() if all_view(SCORES) in wanted or companions else None
        is_shown = "false"
        if shown is not None:
            model, coverage = map(quoted, shown)
            is_shown = f"row.model_sha256 = {model} AND row.coverage = {coverage}"
        for table in (SCORES, *companions):
            self.views[all_view(table)] = self._all(table, is_shown)

    def _open_transcripts(self) -> None:
        self._latest(TRANSCRIPTS)
        files = self._files(self._parts[TRANSCRIPTS])
        count = f"SELECT count(DISTINCT asr_key) FROM read_parquet({files}, union_by_name = true)"
        ((num_asr,),) = self._connection.execute(count).fetchall()
        newest = "true" if num_asr < 2 else IS_SHOWN
        self.views[all_view(TRANSCRIPTS)] = self._all(TRANSCRIPTS, newest)

    def _latest(self, table: str) -> tuple[Sorted, set[str]]:
        """Make the view of a leading table's latest rows; return its parts, and which have lost."""
        files = self._files(self._parts[table])
        found = sorted_parts(self._parts[table], read_claims(self._connection, files))
        lost: set[str] = set()
        if found.loose:
            apart, loose = map(self._files, found)
            lost = find_lost_rows(self._connection, table, apart if found.apart else None, loose)
        self.views[current_view(table)] = latest_rows(table, files, lost)
        return found, lost

    def _companion(self, table: str, scores: Sorted, lost: Collection[str]) -> str:
        """Return the rows of a companion that belong to the latest scores.

        Rows of apart parts do, but for those of lost scores. Of loose parts each is compared with
        the scores of the same part. A part without scores was left by a killed run.
        """
        apart, loose = ({part.name for part in group} for group in scores)
        plain: list[Part] = []
        touched: list[Part] = []
        compared: list[Part] = []
        for part in self._parts[table]:
            if part.name in apart or part.name == EMPTY_PART:
                (touched if part.name in lost else plain).append(part)
            elif part.name in loose:
                compared.append(part)
        selects = [_COMPANION.format(files=self._files(plain))] if plain else []
        if touched:
            of_lost = f"FROM {lost_rows(SCORES)}"
            selects.append(_joined(_COMPANION.format(files=self._files(touched)), "ANTI", of_lost))
        if compared:
            names = {part.name for part in compared}
            leaders = self._files([part for part in scores.loose if part.name in names])
            latest = latest_rows(SCORES, leaders, lost)
            selects.append(_joined(_COMPANION.format(files=self._files(compared)), "SEMI", latest))
        if len(selects) == 1:
            return selects[0]
        every = self._files([*plain, *touched, *compared])
        read = f"FROM read_parquet({every}, union_by_name = true, hive_partitioning = false)"
        columns = ", ".join(map(quoted_name, [*self._connection.sql(read).columns, "part"]))
        union = "\nUNION ALL BY NAME\n".join(selects)
        return f"SELECT {columns} FROM (\n{union}\n)"

    def _all(self, table: str, is_current: str) -> str:
        """Return the rows of `current_view` with two columns more."""
        rows = current_view(table)
        if self._missing is None:
            none = "NULL::TIMESTAMPTZ"
            return _ALL.format(is_current=is_current, missing_since=none, rows=rows)
        is_there = f"gone.missing_since IS NULL AND {is_current}"
        found = _ALL.format(is_current=is_there, missing_since="gone.missing_since", rows=rows)
        return found + _WITH_MISSING.format(missing=self._missing)

    def _shown(self) -> _Scored | None:
        """Return the model and coverage whose rows are current; None if there are no rows.

        Most row groups are of one model and coverage, which their statistics say.
        """
        newest: dict[_Scored, int] = {}
        mixed: list[tuple[str, int, int]] = []
        starts: dict[str, int] = {}
        files = self._files(self._parts[SCORES])
        found = self._connection.execute(_SCORED_BY.format(files=files)).fetchall()
        for file, model, coverage, scored_at, is_one, num_rows in found:
            start = starts.get(file, 0)
            starts[file] = start + num_rows
            if is_one and None not in (model, coverage, scored_at):
                newest[model, coverage] = max(scored_at, newest.get((model, coverage), scored_at))
            elif mixed and mixed[-1][0] == file and mixed[-1][2] == start:
                mixed[-1] = (file, mixed[-1][1], starts[file])
            else:
                mixed.append((file, start, starts[file]))
        if mixed:
            rows = "\nUNION ALL\n".join(
                _MIXED.format(file=quoted(path_pattern(file)), first=start, last=end - 1)
                for file, start, end in mixed
            )
            scan = (
                "SELECT model_sha256, coverage, epoch_us(max(scored_at)) "
                f"FROM ({rows}) GROUP BY ALL"
            )
            for model, coverage, scored_at in self._connection.execute(scan).fetchall():
                newest[model, coverage] = max(scored_at, newest.get((model, coverage), scored_at))
        chosen = self._chosen()
        return min(
            newest,
            key=lambda one: (one not in chosen, -chosen.get(one, 0), -newest[one], one),
            default=None,
        )

    def _chosen(self) -> Mapping[_Scored, int]:
        """Return since when a model and coverage have been current: of one, or of none."""
        files = self._file_with_rows(CURRENT_MODEL)
        if files is None:
            return {}
        read = f"SELECT model_sha256, coverage, epoch_us(since) FROM read_parquet({files})"
        rows = self._connection.execute(read).fetchall()
        return {(model, coverage): since for model, coverage, since in rows}

    def _file_with_rows(self, table: str) -> str | None:
        """Return the files of a table of facts as a list in SQL; None if they hold no row."""
        if table not in self._parts:
            return None
        files = self._files(self._parts[table])
        count = f"SELECT count(*) FROM read_parquet({files})"
        ((num_rows,),) = self._connection.execute(count).fetchall()
        return files if num_rows else None

    def _files(self, parts: Sequence[Part]) -> str:
        return text_list(path_pattern(str(self._root / part.file)) for part in parts)


def _joined(companion: str, kind: str, scores: str) -> str:
    """Return the rows of a companion that have, or do not have, their key and part in scores."""
    same = " AND ".join(f"rows.{name} = scores.{name}" for name in KEYS[SCORES])
    return (
        f"{companion}\n{kind} JOIN ({scores}) AS scores\n"
        f"    ON {same} AND parse_filename(rows.filename, true) = scores.part"
    )
