"""Answers of a store as Arrow, pandas and polars have them: one call each.

from tasks.store import open_store

store = open_store("results")
store.pandas("scores")                                          # a view, whole
store.polars("SELECT clip_id, joy FROM scores WHERE joy > 0.5")
store.arrow("timeline").num_rows
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from emi_model.errors import ConfigError

if TYPE_CHECKING:
    import pandas
    import polars


class Answering:
    """What answers questions about a store.

    Attributes:
        location: of the store, as the user names it.
    """

    location: str

    def arrow(self, question: str) -> pa.Table:
        """Return the answer to a question as an Arrow table.

        Args:
            question: the name of a view, such as ``scores``; or one SELECT, as in `emi query`.

        Raises:
            QueryError: there is no such view, or `tasks.store.query.answer` refuses the SELECT.
            StoreError: the store cannot be read.
        """
        from tasks.store.query import answer

        return answer(self.location, f"FROM {question}" if question.isidentifier() else question)

    def pandas(self, question: str) -> pandas.DataFrame:
        """Return the answer to a question as a DataFrame of pandas; as `arrow`.

        Raises:
            ConfigError: pandas is not installed.
        """
        try:
            import pandas  # noqa: F401
        except ImportError as error:
            raise ConfigError(_MISSING.format(library="pandas")) from error
        frame: pandas.DataFrame = self.arrow(question).to_pandas()
        return frame

    def polars(self, question: str) -> polars.DataFrame:
        """Return the answer to a question as a DataFrame of polars; as `arrow`.

        Raises:
            ConfigError: polars is not installed.
        """
        try:
            import polars
        except ImportError as error:
            raise ConfigError(_MISSING.format(library="polars")) from error
        frame = polars.from_arrow(self.arrow(question))
        assert isinstance(frame, polars.DataFrame)
        return frame


_MISSING = (
    "{library} is not installed, which this needs: pip install 'emi-workflow[frames]'; "
    "without it: arrow(...) gives a table that DuckDB and Parquet take"
)
