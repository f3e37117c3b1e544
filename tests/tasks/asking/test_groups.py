from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emi_model.errors import QueryError
from emi_model.metrics.group_cells import Cells
from emi_model.metrics.group_means import compare_groups
from tasks.asking.answers import Answer, Wishes
from tasks.asking.group_words import group_sentences
from tasks.asking.groups import ask_groups, group_statistics
from tasks.asking.questions import ask_question
from tasks.metadata.add_metadata import add_metadata
from tasks.scoring.commit import RunStamp
from tasks.store.store import ResultsStore
from tasks.store.views import connect
from tests.tasks.asking.conftest import CLIPS, NUM_CLIPS, NUM_SPEAKERS, SCORE_NAMES, scores_of

Commit = Callable[..., None]
MakeStamp = Callable[..., RunStamp]
CONDITIONS = ["quiet"] * (len(CLIPS) // 2) + ["loud"] * (len(CLIPS) // 2)


@pytest.mark.parametrize("store", ["bucket"], indirect=True)  # all others use a disk
def test_the_store_gives_the_figures_of_its_clips(study: str) -> None:
    """Summed up by the database, or clip by clip in memory: the same figures."""
    found = group_statistics(study, "Condition").comparison
    values = np.stack(list(scores_of(0).values()), axis=1)
    speakers = [clip.partition("/")[0] for clip in CLIPS]
    cells = Cells.of_clips(SCORE_NAMES, values, CONDITIONS, speakers)
    expected = compare_groups(cells)
    for one, other in zip(found.means, expected.means, strict=True):
        assert (one.column, one.group, one.num_clips, one.num_speakers) == (
            *(other.column, other.group, other.num_clips, other.num_speakers),
        )
        assert one.mean.value == pytest.approx(other.mean.value)
        assert one.mean.low == pytest.approx(other.mean.low)
        assert one.deviation == pytest.approx(other.deviation)
    for mine, theirs in zip(found.differences, expected.differences, strict=True):
        assert mine.difference.value == pytest.approx(theirs.difference.value, abs=1e-9)
        assert mine.p_holm == pytest.approx(theirs.p_holm)
        assert mine.effect_size == pytest.approx(theirs.effect_size)


def ask(location: str, **wishes: str) -> Answer:
    columns = tuple(filter(None, wishes.pop("columns", "").split()))
    return ask_question(location, "groups", Wishes(columns=columns, **wishes))


def test_the_store_is_opened_once(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def connecting(*args: object, **options: object) -> object:
        opened.append(options)
        return connect(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("tasks.store.query.connect", connecting)
    assert ask(study, by="condition", where="age < 30 AND joy >= 0").warnings
    assert len(opened) == 1


class TestTheAnswer:
    def test_in_tables_and_words(self, study: str) -> None:
        found = ask(study, by="condition")
        means, differences = found.tables["means"], found.tables["differences"]
        assert means.num_rows == 2 * len(SCORE_NAMES)
        assert set(means["speakers"].to_pylist()) == {NUM_SPEAKERS // 2}
        (joy,) = [row for row in differences.to_pylist() if row["score"] == "joy"]
        assert (joy["group"], joy["less"]) == ("loud", "quiet")
        assert joy["low"] < 0.2 < joy["high"]
        assert joy["p_holm"] < 0.05
        (sentence,) = found.sentences
        assert sentence.startswith("joy is higher in loud than in quiet by 0.")
        assert "corrected for 9 differences" in sentence
        assert found.warnings == ("intervals of fewer than 20 speakers are rough: loud 6, quiet 6",)
        assert found.one_table()["table"].to_pylist().count("differences") == len(SCORE_NAMES)

    def test_only_clips_that_meet_a_condition(self, study: str) -> None:
        found = ask(study, by="condition", where="age < 30", columns="joy age")
        sizes = found.tables["means"].select(["score", "group", "speakers"]).to_pylist()
        assert [tuple(row.values()) for row in sizes] == [
            *(("joy", "loud", 4), ("joy", "quiet", 6)),
            *(("age", "loud", 4), ("age", "quiet", 6)),
        ]
        assert "too few speakers for an interval, 5 at least: loud 4" in found.warnings
        assert found.sentences == ()

    def test_within_persons(self, study: str, tmp_path: Path) -> None:
        text = "".join(f"{clip},{'ab'[n % NUM_CLIPS % 2]}\n" for n, clip in enumerate(CLIPS[:-3]))
        (tmp_path / "visits.csv").write_text(f"clip_id,visit\n{text}")
        add_metadata(study, tmp_path / "visits.csv")
        (warned, _) = ask(study, by="visit", columns="joy").warnings[-2:]
        assert "3 clips have no visit: they are left out" in warned
        assert (
            "11 speakers are in several groups: --within speaker"
            in (ask(study, by="visit", columns="joy").warnings[-1])
        )
        found = ask(study, by="visit", within="speaker", columns="joy")
        joy = scores_of(0)["joy"].reshape(NUM_SPEAKERS, NUM_CLIPS)[:-1]
        expected = joy[:, [0, 2]].mean(axis=1) - joy[:, 1]
        (difference,) = found.tables["differences"].to_pylist()
        assert difference["difference"] == pytest.approx(float(expected.mean()), abs=1e-6)
        assert difference["speakers"] == NUM_SPEAKERS - 1

    def test_clips_that_the_model_was_trained_on(
        self, store: ResultsStore, commit: Commit, make_stamp: MakeStamp, study: str
    ) -> None:
        learnt = dict.fromkeys([f"of {clip}" for clip in CLIPS[:4]], "train")
        commit("later", *CLIPS[:8], stamp=make_stamp(run_id="run2", training_splits=learnt))
        (warned,) = [text for text in ask(study, by="condition").warnings if "trained" in text]
        assert warned.startswith("the model was trained on 4 of these 36 clips")
        left = ask(study, by="condition", where="training_split IS NULL")
        assert not [text for text in left.warnings if "trained" in text]

    def test_nobody_knows_who_speaks(
        self, store: ResultsStore, commit_scores: Commit, tmp_path: Path
    ) -> None:
        commit_scores("part")
        found = ask(store.location, by="folder", where="clip_id < 'p02'", columns="joy")
        assert [row["speakers"] for row in found.tables["means"].to_pylist()] == [3, 3]
        assert "of 6 clips nobody knows who speaks" in found.warnings[1]
        many = group_statistics(store.location, "coverage", columns=["joy"])
        assert many.comparison.means[0].num_speakers == len(CLIPS)
        assert "all clips are of one group, coverage first: no difference" in many.warnings


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({}, "say which column tells the groups apart"),
        ({"by": "conditions"}, "--by conditions: no such column, did you mean condition"),
        ({"by": "clip_id"}, "found 36 different values, expected at most 12"),
        ({"by": "condition", "where": "age > 90"}, "none of 0 clips that meet --where"),
        ({"by": "condition", "within": "codec"}, "no clip in any group has a value there"),
        ({"by": "condition", "columns": "speaker"}, "found VARCHAR, expected a column of numbers"),
        ({"by": "condition", "where": "1) -- ("}, "syntax error"),
        ({"by": "condition", "ratings": "x.csv"}, "groups takes no --ratings: it takes --by"),
    ],
)
def test_what_is_refused(wishes: dict[str, str], said: str, study: str) -> None:
    with pytest.raises(QueryError) as caught:
        ask(study, **wishes)
    assert said in str(caught.value)


def test_names_of_columns_and_groups_are_no_sql(study: str, tmp_path: Path) -> None:
    lines = [f"p{n:02},'; DROP TABLE scores; --{n % 2}" for n in range(NUM_SPEAKERS)]
    (tmp_path / "odd.csv").write_text('speaker,"select"\n' + "\n".join(lines) + "\n")
    add_metadata(study, tmp_path / "odd.csv")
    found = ask_groups(study, Wishes(by="select", columns=("joy",)))
    assert found.tables["means"]["group"].to_pylist() == [
        "'; DROP TABLE scores; --0",
        "'; DROP TABLE scores; --1",
    ]


def test_nothing_certain_is_said_to_prove_nothing() -> None:
    scores = np.random.default_rng(0).normal(0, 1, 40)
    cells = Cells.of_clips(["valence"], scores, ["a"] * 20 + ["b"] * 20)
    (sentence,) = group_sentences(compare_groups(cells, num_resamples=200))
    assert (
        sentence == "The difference may be chance (p_holm 0.05 or more): that proves no equality."
    )
