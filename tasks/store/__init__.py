"""The results store: Parquet parts, views over them, questions in SQL.

from tasks.store import open_store

open_store("results").pandas("scores")  # also .polars(...) and .arrow(...), of any SELECT
"""


def __getattr__(name: str) -> object:
    """Return `open_store`: importing this package by itself loads neither DuckDB nor Arrow."""
    if name != "open_store":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tasks.store.store import open_store

    return open_store
