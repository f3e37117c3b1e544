"""The SQL of the view over explanations."""

from __future__ import annotations

LATEST_EXPLANATIONS = """\
SELECT * FROM read_parquet({files}, union_by_name = true, hive_partitioning = false)
QUALIFY row_number() OVER (
    PARTITION BY clip_id, model_sha256, coverage, language_model
    ORDER BY explained_at DESC, run_id DESC
) = 1"""
"""The latest row of each clip, model, coverage and language model, or of the template."""
