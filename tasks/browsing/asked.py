"""SQL that the user types: a SELECT over the views of the store, in the sandbox of `emi query`."""

from __future__ import annotations

import re
from collections import OrderedDict
from threading import Lock

import pyarrow as pa

from emi_model.errors import EmiError, QueryError
from tasks.store.queries.clip_views import CLIPS
from tasks.store.query import answer

QUESTION_SECONDS = 60.0
"""Of a question: a page is not waited for longer."""

MAX_KEPT = 8
MAX_ANSWERS_BYTES = 256_000_000
"""Of the answers that are kept, for the next page and the next click; the last is kept anyway."""

_SELECT = re.compile(
    r"(\s|--[^\n]*\n|\()*(SELECT|WITH|FROM|VALUES|TABLE|PIVOT|UNPIVOT|SHOW|DESCRIBE|SUMMARIZE)\b",
    re.IGNORECASE,
)
_STATEMENT = re.compile(
    r"\s*(INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|COPY|ATTACH|DETACH|INSTALL|LOAD|SET|RESET|PRAGMA|"
    r"EXPORT|IMPORT|CALL|EXPLAIN|CHECKPOINT|VACUUM|BEGIN|COMMIT|EXECUTE|PREPARE|USE|TRUNCATE)\s",
    re.IGNORECASE,
)


def whole_question(text: str) -> str:
    """Return the SELECT that a text is; of a condition, the SELECT of the clips that fulfil it."""
    if _SELECT.match(text) or _STATEMENT.match(text):  # the sandbox refuses the latter in words
        return text
    return f"SELECT clip_id FROM {CLIPS} WHERE\n{text}"


class Asked:
    """Answers questions to one store, and keeps the last of them until the page is refreshed."""

    def __init__(self, location: str) -> None:
        """Take the location of a store."""
        self._location = location
        self._kept: OrderedDict[str, pa.Table] = OrderedDict()
        self._lock = Lock()

    def answer(self, text: str) -> pa.Table:
        """Return the answer to what the user typed.

        Raises:
            QueryError: as `tasks.store.query.answer`, in one line, or it takes too long.
        """
        with self._lock:
            if text in self._kept:
                self._kept.move_to_end(text)
                return self._kept[text]
        try:
            found = answer(self._location, whole_question(text), seconds=QUESTION_SECONDS)
        except EmiError as error:
            raise QueryError(in_one_line(error)) from error
        with self._lock:
            self._kept[text] = found
            while len(self._kept) > 1 and self._is_full():
                self._kept.popitem(last=False)
        return found

    def _is_full(self) -> bool:
        size = sum(table.nbytes for table in self._kept.values())
        return len(self._kept) > MAX_KEPT or size > MAX_ANSWERS_BYTES


def in_one_line(error: Exception) -> str:
    """Return what an error says, without the excerpt of the SQL and the sign below it."""
    lines = (line.strip() for line in str(error).splitlines())
    kept = (line for line in lines if line.strip("^ ") and not line.startswith("LINE "))
    return " ".join(kept) or type(error).__name__
