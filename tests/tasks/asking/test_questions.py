from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emi_model.errors import QueryError
from tasks.asking.answers import Wishes
from tasks.asking.questions import ask_question, question_named, ready_questions
from tasks.asking.scope import scoped
from tasks.store.query import answer
from tests.tasks.asking.conftest import (
    CLIPS,
    NUM_CLIPS,
    NUM_SPEAKERS,
    SCORE_NAMES,
    scores_of,
)

Commit = Callable[..., None]


def rows(location: str, name: str, **wishes: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (
        ask_question(location, name, Wishes(**wishes)).one_table().to_pylist()  # type: ignore[arg-type]
    )
    return found


def test_every_question_says_what_who_and_how() -> None:
    known = ready_questions()
    assert len(known) > 20
    for one in known.values():
        assert one.title.endswith(("?", ".")), one.name
        assert len(one.who) > 15, one.name
        assert len(one.reading) > 30, one.name
    assert question_named("Top-Clips").takes == {"where", "by"}
    assert question_named("throughput").takes == set()


@pytest.mark.parametrize(
    ("name", "wishes", "said"),
    [
        ("top_clip", {}, "no question 'top_clip', did you mean top_clips"),
        ("throughput", {"where": "joy > 1"}, "throughput takes no --where"),
        ("correlations", {"within": "speaker"}, "takes no --within: it takes --by, --where"),
        ("top_clips", {"by": "sex"}, "--by sex: no such column"),
    ],
)
def test_what_no_question_takes(name: str, wishes: dict[str, str], said: str, study: str) -> None:
    with pytest.raises(QueryError) as caught:
        rows(study, name, **wishes)
    assert said in str(caught.value)


class TestScope:
    def test_a_condition_on_metadata_and_a_column_to_answer_by(self, study: str) -> None:
        found = rows(study, "top_clips", where="age IN (20, 31)", by="condition")
        assert [row["condition"] for row in found] == ["loud"] * 18 + ["quiet"] * 18
        scores = scores_of(0)
        joy = {
            clip: round(float(score), 3) for clip, score in zip(CLIPS, scores["joy"], strict=True)
        }
        best = [row["clip_id"] for row in found if row["emotion"] == "joy"]
        loud = sorted(CLIPS[-NUM_CLIPS:], key=lambda clip: -joy[clip])
        assert best == [*loud, *sorted(CLIPS[:NUM_CLIPS], key=lambda clip: -joy[clip])]
        assert {row["score"] for row in found if row["emotion"] == "joy"} <= set(joy.values())

    def test_the_same_answer_where_all_clips_meet_the_condition(self, study: str) -> None:
        for name in ("change_over_time", "folders"):
            assert rows(study, name) == rows(study, name, where="joy >= 0")

    def test_seconds_of_the_clips_that_count(self, study: str) -> None:
        found = rows(study, "change_over_time", where="condition = 'loud'", by="condition")
        assert [(row["condition"], row["second"], row["clips"]) for row in found] == [
            ("loud", 0, 18),
            ("loud", 1, 18),
        ]

    def test_one_row_a_clip_with_all_that_is_known(self, study: str) -> None:
        found = rows(study, "each_clip", where="speaker = 'p03'")
        assert [(row["clip_id"], row["age"], row["condition"]) for row in found] == [
            (f"p03/{n}.mp4", 23, "quiet") for n in range(NUM_CLIPS)
        ]

    @pytest.mark.parametrize(
        "where",
        [
            "(SELECT count(*) FROM read_csv('/etc/passwd')) > 0",
            "true) UNION ALL (SELECT content FROM read_text('/etc/passwd')",
            "true); COPY (SELECT 1) TO '/tmp/x.csv'; SELECT (true",
        ],
    )
    def test_it_stays_in_the_sandbox(self, where: str, study: str) -> None:
        with pytest.raises(QueryError):
            rows(study, "each_clip", where=where)

    def test_a_comment_in_a_condition_ends_with_its_line(self, study: str) -> None:
        assert len(rows(study, "each_clip", where="age < 21 -- the youngest")) == NUM_CLIPS

    def test_a_question_alone_is_left_as_it_is(self) -> None:
        assert scoped("FROM scores", None) == "FROM scores"


class TestFigures:
    def test_distributions_and_correlations(self, study: str) -> None:
        scores = scores_of(0)
        by_score = {row["score"]: row for row in rows(study, "distributions")}
        assert set(by_score) == set(SCORE_NAMES)
        assert by_score["joy"]["mean"] == pytest.approx(float(scores["joy"].mean()), abs=6e-4)
        median = float(np.median(scores["joy"]))
        assert by_score["joy"]["median"] == pytest.approx(median, abs=6e-4)
        assert by_score["joy"]["highest"] == pytest.approx(float(scores["joy"].max()), abs=6e-4)
        correlations = {row["score"]: row for row in rows(study, "correlations")}
        for one in SCORE_NAMES:
            for other in SCORE_NAMES:
                assert correlations[one][other] == correlations[other][one]
        assert correlations["joy"]["joy"] == 1.0

    def test_models_clip_by_clip_and_runs(self, study: str, commit_scores: Commit) -> None:
        commit_scores("other", seed=1, model="large", model_sha256="bb", run_id="run2")
        found = rows(study, "model_against_model", where="age = 20")
        assert len(found) == NUM_CLIPS
        assert {(row["own_model"], row["other_model"]) for row in found} == {("large", "tiny")}
        agreement = {row["score"]: row for row in rows(study, "model_agreement")}
        assert {row["clips"] for row in agreement.values()} == {len(CLIPS)}
        joy = agreement["joy"]
        assert joy["alpha"] > 0.5  # both hear who is in which condition
        assert joy["alpha_low"] < joy["alpha"] < joy["alpha_high"]
        assert joy["icc_agreement_low"] < joy["icc_agreement"] < joy["icc_agreement_high"]
        assert joy["speakers"] == NUM_SPEAKERS
        drift = rows(study, "drift")
        assert [(row["run_id"], row["joy_drift"]) for row in drift] == [("run2", 0), ("run1", 0)]

    def test_one_model_agrees_with_nobody(self, study: str) -> None:
        with pytest.raises(QueryError, match="found the scores of 1 models, expected two"):
            rows(study, "model_agreement")

    def test_a_questions_text_answers_by_itself(self, study: str) -> None:
        sql = question_named("rejections").sql
        assert answer(study, sql).num_rows == 0


class TestRaters:
    def test_a_file_of_ratings(self, study: str, tmp_path: Path) -> None:
        """The example of Shrout and Fleiss, as a row a clip and rater."""
        table = [
            (9, 2, 5, 8),
            (6, 1, 3, 2),
            (8, 4, 6, 8),
            (7, 1, 2, 6),
            (10, 5, 6, 9),
            (6, 2, 4, 7),
        ]
        lines = [f"{c},r{r},{v}" for c, row in enumerate(table) for r, v in enumerate(row)]
        path = tmp_path / "ratings.csv"
        path.write_text("clip_id,rater,Joy\n" + "\n".join(lines) + "\n")
        (row,) = rows(study, "raters", ratings=str(path))
        assert (row["score"], row["clips"], row["raters"]) == ("joy", 6, 4)
        assert row["icc_agreement"] == pytest.approx(0.29, abs=0.005)
        assert row["icc_agreement_low"] < 0.29 < row["icc_agreement_high"]
        speakers = [line + f",p{n // 8}" for n, line in enumerate(lines)]
        path.write_text("clip_id,rater,Joy,speaker\n" + "\n".join(speakers) + "\n")
        found = ask_question(study, "raters", Wishes(ratings=str(path)))
        (row,) = found.one_table().to_pylist()
        assert (row["speakers"], row["alpha_low"]) == (3, None)
        assert found.warnings == ("too few speakers for an interval, 5 at least: 3",)
        path.write_text("clip_id,rater,joy\na,x,1\na,x,2\n")
        with pytest.raises(Exception, match="line 3: x rates a again"):
            rows(study, "raters", ratings=str(path))

    def test_a_column_a_rater(self, study: str) -> None:
        wishes = Wishes(columns=("joy", "age"), where="age < 30")
        (row,) = ask_question(study, "raters", wishes).one_table().to_pylist()
        assert (row["score"], row["complete_clips"], row["raters"]) == ("joy, age", 30, 2)
        assert (row["speakers"], row["clips"]) == (10, 30)
        with pytest.raises(QueryError, match="say where the single ratings are"):
            rows(study, "raters")
