"""`emi ask`: ready questions about a store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from flows.cli.analysis.output import Output, answer_options, put_answer, write_select
from flows.cli.options import LOCATION, RESULTS_VARIABLE
from flows.display.terminal import message, terminal
from flows.display.text import say

if TYPE_CHECKING:
    from tasks.asking.answers import Answer
    from tasks.asking.questions import Question


@click.command()
@click.argument("question", required=False, metavar="[NAME]")
@click.option(
    "--results",
    type=LOCATION,
    envvar=RESULTS_VARIABLE,
    metavar="DIR",
    help="Results store: a folder, or s3://BUCKET/NAME; gs:// and az:// likewise (default: "
    "EMI_RESULTS).",
)
@click.option(
    "--where",
    metavar="SQL",
    help='Only clips that meet a condition on the columns of the view clips: "age > 30 AND '
    "condition = 'quiet'\".",
)
@click.option("--by", metavar="COLUMN", help="An answer for each value of a column: condition.")
@click.option(
    "--within",
    metavar="COLUMN",
    help="Of groups: column that names persons, each of whom is compared with themselves.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="COLUMN",
    help="Of groups, mixed_model, raters: what is compared, may be repeated (default: all scores).",
)
@click.option(
    "--ratings",
    type=LOCATION,
    metavar="FILE",
    help="Of raters: single ratings, a row a clip and rater: clip_id, rater, a column a score.",
)
@answer_options
def ask(question: str | None, results: str | None, output: Output, **wishes: Any) -> None:
    """Answer a ready question; without NAME list them.

    \b
    emi ask top_clips --results results
    emi ask top_clips --where "age > 30" --by condition
    emi ask groups --by condition
    emi ask each_clip --output clips.csv --excel

    --where and --by take columns of scores and of your own tables (emi metadata add). A question in
    SQL runs in the same sandbox as `emi query`.
    """
    from tasks.asking.answers import Wishes
    from tasks.asking.questions import (
        ask_question,
        question_named,
        question_sql,
        ready_questions,
    )

    if question is None:
        _list(ready_questions(), output)
        return
    known = question_named(question)
    if results is None:
        raise click.UsageError(f"Missing option '--results' (or {RESULTS_VARIABLE}).")
    sql = question_sql(question, Wishes(**wishes))
    if sql is not None and write_select(results, sql, output):
        return
    found = ask_question(results, question, Wishes(**wishes))
    if not put_answer(found.one_table(), output):
        _show(known, found)
    for warning in found.warnings:
        message(f"note: {warning}")


def _list(questions: dict[str, Question], output: Output) -> None:
    import pyarrow as pa

    from flows.display.tables import plain_table, show

    rows = [
        {
            "name": one.name,
            "question": one.title,
            "who_asks": one.who,
            "takes": ", ".join(sorted(one.takes)),
        }
        for one in questions.values()
    ]
    if not put_answer(pa.Table.from_pylist(rows), output):
        cells = [(row["name"], row["question"], row["who_asks"]) for row in rows]
        show(plain_table(["name", "question", "who asks"], cells), terminal().out)


def _show(question: Question, found: Answer) -> None:
    from flows.display.answers import show_answer

    say(question.title)
    for name, table in found.tables.items():
        say(f"\n{name}" if len(found.tables) > 1 else "")
        show_answer(table, sys.stdout)
    for sentence in found.sentences:
        say(f"\n{sentence}" if sentence == found.sentences[0] else sentence)
    say(f"\nRead it so: {question.reading}")
