"""The SQL of the views over labels and comparisons."""

from __future__ import annotations

from tasks.schema.tables import LABELS

EVERY_ROW = "SELECT * FROM read_parquet({files}, union_by_name = true, hive_partitioning = false)"

LATEST_REPORTS = f"""\
{EVERY_ROW}
QUALIFY report = max(report) OVER (PARTITION BY comparison)"""
"""The rows of the latest report of each comparison."""

_LABELS = f"""\
{EVERY_ROW}
QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY number DESC) = 1"""
"""One row a clip: a later snapshot corrects an earlier one."""

_LABEL_SNAPSHOTS = f"""\
WITH rows AS ({EVERY_ROW}),
firsts AS (SELECT clip_id, min(number) AS number, any_value(split) AS split FROM rows GROUP BY ALL)
SELECT
    snapshots.*,
    count(*) AS num_clips,
    count_if(split = 'train')::BIGINT AS num_train,
    count_if(split = 'valid')::BIGINT AS num_valid,
    count_if(split = 'test')::BIGINT AS num_test
FROM (
    SELECT number, snapshot, parent, min(added_at) AS added_at, count(*) AS num_rows
    FROM rows GROUP BY ALL
) AS snapshots
JOIN firsts ON firsts.number <= snapshots.number
GROUP BY ALL"""
"""One row a snapshot: the rows that it added or corrected, and all clips labelled by then."""


def label_views(files: str) -> dict[str, str]:
    """Return the bodies of the views over labels by name.

    Args:
        files: of the labels, as a list or pattern in SQL.
    """
    return {
        LABELS: _LABELS.format(files=files),
        "label_snapshots": _LABEL_SNAPSHOTS.format(files=files),
    }
