"""Files of one clip's features: what is taken, and what is refused in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.corpus.features import arrays
from tasks.corpus.features.arrays import on_grid, rate_of, read_arrays


def test_numbers_times_and_rate_are_told_apart(tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "a.npz", face=np.ones((3, 2)), time_ms=[0, 40, 80], FPS=25, names=["x", "y"]
    )
    found = read_arrays(tmp_path / "a.npz")
    assert list(found.values) == ["face"]
    assert found.rate == 25
    assert found.times is not None
    assert found.times.tolist() == [0, 0.04, 0.08]
    assert found.chosen(None) is found.chosen("face")
    np.save(tmp_path / "b.npy", np.arange(4, dtype=np.int16))
    assert read_arrays(tmp_path / "b.npy").chosen(None).tolist() == [0, 1, 2, 3]


def test_what_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "object.npy", np.array([{"a": 1}]), allow_pickle=True)
    np.save(tmp_path / "words.npy", np.array(["a"]))
    np.savez(tmp_path / "cut.npz", a=np.ones(9))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:200])
    for name, expected in {
        "none.npz": "cannot be read",
        "text.npy": "pickle|magic|allow",
        "object.npy": "Object arrays cannot be loaded",
        "words.npy": "expected numbers",
        "cut.npz": "cannot be read",
    }.items():
        with pytest.raises(ValueError, match=expected):
            read_arrays(tmp_path / name)
    np.savez(tmp_path / "two.npz", a=np.ones(9), b=np.ones(9))
    two = read_arrays(tmp_path / "two.npz")
    with pytest.raises(ValueError, match="holds a, b, expected one array"):
        two.chosen(None)
    with pytest.raises(ValueError, match="holds a, b, expected one called 'c'"):
        two.chosen("c")
    monkeypatch.setattr(arrays, "MAX_BYTES", 300)  # of what a packed file holds, too
    np.savez_compressed(tmp_path / "packed.npz", a=np.zeros(100))
    with pytest.raises(ValueError, match="expected at most 300"):
        read_arrays(tmp_path / "packed.npz")


def test_entries_go_to_their_times() -> None:
    times = np.array([0.52, 0.98, 1.5, 3.0])
    assert rate_of(times) == pytest.approx(1 / 0.52)
    assert rate_of(times[:1]) is None
    values = np.arange(8.0).reshape(4, 2)
    found = on_grid(values, times, 2.0)
    assert found.dtype == np.float32
    assert found[[1, 2, 3, 6]].tolist() == values.tolist()
    assert np.isnan(found[[0, 4, 5]]).all()
    assert len(found) == 7
    assert on_grid(values[:0], times[:0], 2.0).shape == (0, 2)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 500, 1000], "500 s between entries.*call it time_ms"),
        ([2, 1, 0], "-1 s between entries"),
    ],
)
def test_times_that_are_no_seconds_are_refused(times: list[float], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        rate_of(np.array(times, float))


@pytest.mark.parametrize("times", [[1.7e9, 1.7e9 + 1], [-3.0, 0.0], [0.0, np.nan], [0.0]])
def test_times_that_are_not_the_clips_are_refused(times: list[float]) -> None:
    with pytest.raises(ValueError, match=r"expected seconds from the clip's start|1 times for 2"):
        on_grid(np.zeros((2, 1)), np.array(times), 1.0)
