from __future__ import annotations

import sys

import numpy as np
import pytest

from emi_model.errors import ConfigError, QueryError
from tasks.asking.answers import Answer, Wishes
from tasks.asking.questions import ask_question
from tests.tasks.asking.conftest import NUM_SPEAKERS, scores_of


def fit(study: str, *columns: str, where: str | None = None) -> Answer:
    wishes = Wishes(by="condition", columns=columns, where=where)
    return ask_question(study, "mixed_model", wishes)


def test_of_equal_numbers_of_clips_it_is_the_difference_of_means(study: str) -> None:
    """A balanced design: the estimate is the plain difference, whatever the speakers' spread."""
    joy, age = fit(study, "joy", "age").one_table().to_pylist()
    scores = scores_of(0)["joy"]
    half = len(scores) // 2
    apart = float(scores[:half].mean() - scores[half:].mean())
    assert (joy["group"], joy["less"], joy["clips"]) == ("quiet", "loud", len(scores))
    assert joy["estimate"] == pytest.approx(apart, abs=1e-6)
    means = scores.reshape(NUM_SPEAKERS, -1).mean(axis=1)
    error = np.sqrt(2 * (means[:6].var(ddof=1) + means[6:].var(ddof=1)) / 2 / 6)
    assert joy["high"] - joy["low"] == pytest.approx(2 * 1.96 * error, rel=0.02)
    assert joy["p_holm"] < 1e-6
    assert 0 < joy["speaker_share"] < 1
    assert age["speaker_share"] > 0.99


def test_what_cannot_be_fitted(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fit(study, "bytes")
    assert found.one_table()["estimate"].to_pylist() == [None]
    assert found.warnings == ("bytes: all values are alike: not fitted",)
    alone = fit(study, "joy", where="clip_id LIKE '%/0.mp4'")
    assert alone.one_table()["p"].to_pylist() == [None]
    assert alone.warnings[0].startswith("joy: no speaker has two clips with a value")
    perfect = fit(study, "age", where="age IN (20, 31)")
    assert perfect.one_table()["estimate"].to_pylist() == [None]
    assert perfect.warnings == ("age: the values within each group are alike: not fitted",)
    with pytest.raises(QueryError, match="condition: 1 groups among 18 clips"):
        fit(study, where="age < 26")
    monkeypatch.setitem(sys.modules, "statsmodels.regression.mixed_linear_model", None)
    with pytest.raises(ConfigError, match=r"pip install 'emi-workflow\[stats\]'"):
        fit(study, "joy")
