"""The catalogue of ready questions: files of SQL, and modules of this folder.

Both say in their first comment what is asked, who asks it, and how the answer is to be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emi_model.errors import QueryError
from tasks.asking import groups, mixed_model, model_agreement, raters
from tasks.asking.answers import Answer, Wishes
from tasks.asking.groups import ask_groups
from tasks.asking.mixed_model import ask_mixed_model
from tasks.asking.model_agreement import ask_model_agreement
from tasks.asking.raters import ask_raters
from tasks.asking.scope import (
    BY_MARK,
    did_you_mean,
    scoped,
    takes_where,
    with_clips,
)
from tasks.store.query import answer, stored_question, stored_question_names
from tasks.store.views import views_read

_Asked = Callable[[str | Path, Wishes], Answer]

_OF_GROUPS = frozenset({"where", "by", "within", "columns"})
_IN_PYTHON: Mapping[str, tuple[str | None, _Asked, frozenset[str]]] = {
    "groups": (groups.__doc__, ask_groups, _OF_GROUPS),
    "mixed_model": (mixed_model.__doc__, ask_mixed_model, _OF_GROUPS - {"within"}),
    "model_agreement": (model_agreement.__doc__, ask_model_agreement, frozenset({"where"})),
    "raters": (raters.__doc__, ask_raters, frozenset({"where", "columns", "ratings"})),
}

_PARTS = re.compile(r"\s*(.*?)\s*Who asks:\s*(.*?)\s*Read it so:\s*(.*)", re.DOTALL)
_OPTIONS = {"columns": "--column"}


@dataclass(frozen=True)
class Question:
    """A ready question.

    Attributes:
        name: as `emi ask` knows it.
        title: the question itself.
        who: who asks it.
        reading: what the answer's values mean.
        takes: the fields of `Wishes` that it takes.
        sql: its text; empty for one in Python.
    """

    name: str
    title: str
    who: str
    reading: str
    takes: frozenset[str]
    sql: str = ""


def ready_questions() -> dict[str, Question]:
    """Return all ready questions by name, in the order of their names."""
    return {name: _question(name) for name in sorted((*_IN_PYTHON, *stored_question_names()))}


def question_named(name: str) -> Question:
    """Return a ready question.

    Raises:
        QueryError: there is none of this name.
    """
    known = (*_IN_PYTHON, *stored_question_names())
    spelled = name.lower().replace("-", "_")
    if spelled not in known:
        raise QueryError(
            f"no question {name!r}{did_you_mean(spelled, known) or ':'} `emi ask` lists them all"
        )
    return _question(spelled)


def ask_question(location: str | Path, name: str, wishes: Wishes | None = None) -> Answer:
    """Return the answer to a ready question.

    Args:
        location: of the store.
        name: of the question.
        wishes: its options.

    Raises:
        QueryError: no such question, an option that it does not take, a column that there is not.
        StoreError: no store there.
    """
    wishes = wishes or Wishes()
    sql = question_sql(name, wishes)
    question = question_named(name)
    if sql is not None:
        found = answer(location, sql)
    elif question.sql and wishes.by is not None:
        sql, by = question.sql, wishes.by
        found = with_clips(
            location, wishes.where, lambda clips: clips.rows_by(sql, by), views_read(sql)
        )
    else:
        return _IN_PYTHON[question.name][1](location, wishes)
    return Answer({question.name: found})


def question_sql(name: str, wishes: Wishes) -> str | None:
    """Return the one SELECT that answers a question; None if more is to be done.

    That is a question in Python, or one that is answered by a column.

    Raises:
        QueryError: no such question, an option that it does not take.
    """
    question = question_named(name)
    for option in wishes.given():
        if option not in question.takes:
            taking = [_option(one) for one in sorted(question.takes)]
            raise QueryError(
                f"{question.name} takes no {_option(option)}: "
                + (f"it takes {', '.join(taking)}" if taking else "it is not about single clips")
            )
    if not question.sql or wishes.by is not None:
        return None
    return scoped(question.sql, wishes.where)


def _question(name: str) -> Question:
    if name in _IN_PYTHON:
        comment, _, takes = _IN_PYTHON[name]
        return _commented(name, comment or "", takes)
    sql = stored_question(name)
    lines = [line.removeprefix("--") for line in sql.splitlines() if line.startswith("--")]
    options = {"where"} if takes_where(sql) else set()
    options |= {"by"} if BY_MARK in sql else set()
    return _commented(name, "\n".join(map(str.strip, lines)), frozenset(options), sql)


def _commented(name: str, comment: str, takes: frozenset[str], sql: str = "") -> Question:
    parts = _PARTS.match(comment)
    if parts is None:
        raise ValueError(f"{name}: its comment says not what is asked, by whom, and how to read it")
    title, who, reading = (" ".join(part.split()) for part in parts.groups())
    return Question(name, title, who, reading, takes, sql)


def _option(field: str) -> str:
    return _OPTIONS.get(field, f"--{field}")
