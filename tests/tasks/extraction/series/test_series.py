"""Features that a user gives: branches, settings, and a clip's entries or its rejection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emi_model.architecture.config import EmiConfig
from emi_model.errors import ConfigError
from tasks.corpus.listing import list_clips
from tasks.extraction.inputs import unpack
from tasks.extraction.registry import NAMED, extractor_facts, extractor_of, has_extractor
from tasks.extraction.rows import extract_clip
from tasks.extraction.series.given import (
    Given,
    parse_features,
    series_branches,
    series_settings,
)
from tasks.progress import take_remarks


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))


@pytest.fixture
def made(tmp_path: Path) -> str:
    """Return a folder of three clips: two with a face at 25 Hz and one without a number in it."""
    folder = tmp_path / "made"
    folder.mkdir()
    for number in (1, 2, 3):
        face = np.full((50 * number, 3), np.nan if number == 3 else number)
        np.savez(folder / f"{number}.npz", face=face, pulse=np.arange(4.0 * number), fps=25)
    return str(folder)


def config_of(branches: dict[str, dict[str, Any]]) -> EmiConfig:
    return EmiConfig(targets=("Joy",), branches=branches, vad_head=False)


def rows_of(corpus: str, config: EmiConfig, options: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        extract_clip(
            clip, max_seconds=2.0, timeout_seconds=9.0, needs=config.needs, options=options
        )
        for clip in list_clips(corpus)
    ]


def test_names_paths_and_rates(tmp_path: Path) -> None:
    (tmp_path / "a@3").mkdir()
    texts = ["face=f.npz@12.5", f"pulse={tmp_path}/a@3", "mail=me@home"]
    assert parse_features(texts) == {
        "face": Given("f.npz", 12.5),
        "pulse": Given(f"{tmp_path}/a@3"),
        "mail": Given("me@home"),
    }
    for wrong, expected in {
        "face": "features are 'face', expected NAME=PATH",
        "=f": "expected NAME=PATH",
        "audio=f": "'audio', which is read from the clips",
        "pulse=f": "'pulse' twice",
    }.items():
        with pytest.raises(ConfigError, match=expected):
            parse_features(["pulse=a", wrong])


def test_branches_and_settings_come_from_the_files(made: str) -> None:
    branches = series_branches({"face": Given(made), "pulse": Given(None, 2.0)}, made)
    series = {"kind": "series", "sequential": True, "optional": True}
    assert branches == {
        "face": {**series, "num_values": 3, "rate": 25.0},
        "pulse": {**series, "num_values": 1, "rate": 2.0},
    }
    settings = series_settings(config_of(branches), {"face": Given(made)}, made)
    assert (settings["face"].folder, settings["face"].array) == (made, "face")
    assert (settings["pulse"].folder, settings["pulse"].rate) == (None, 2.0)


@pytest.mark.parametrize(
    ("arrays", "num_values", "sequential"),
    [
        ([np.zeros(8), np.zeros(8)], 8, False),  # a vector a clip
        ([np.zeros(8), np.zeros(7)], 1, True),  # a series of one number
        ([np.zeros((1, 8)), np.zeros((1, 8))], 8, False),
        ([np.zeros((1, 5, 8)), np.zeros((1, 6, 8))], 8, True),
    ],
)
def test_flat_arrays_are_vectors_or_series(
    arrays: list[NDArray[Any]], num_values: int, sequential: bool, tmp_path: Path
) -> None:
    (tmp_path / "flat").mkdir()
    for number, values in enumerate(arrays):
        np.save(tmp_path / "flat" / f"{number}.npy", values)
    flat = str(tmp_path / "flat")
    branches = series_branches({"facts": Given(flat)}, flat)
    found = branches["facts"]
    assert (found["num_values"], found["rate"]) == (num_values, None)
    assert found["sequential"] == sequential
    config = config_of(branches)
    for row, values in zip(
        rows_of(flat, config, series_settings(config, {}, flat)), arrays, strict=True
    ):
        assert unpack(row)["facts"].shape == (values.size // num_values, num_values)


def test_a_clip_without_its_series_lacks_it(made: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("clip_id,time,eda\n1,0,5\n1,0.5,6\n1,1.5,7\n2,3,8\n")
    given = {"face": Given(made), "eda": Given(str(tmp_path / "t.csv"))}
    config = config_of(series_branches(given, made))
    options = series_settings(config, given, made)
    first, second, third = rows_of(made, config, options)
    inputs = unpack(first)
    assert (inputs["face"].shape, inputs["face"].dtype) == ((50, 3), np.float32)
    rate = options["eda"].rate
    assert rate == pytest.approx(4 / 3)  # the median step
    assert inputs["eda"][[0, 1, 2], 0].tolist() == [5, 6, 7]
    assert unpack(second)["face"].shape == (51, 3)  # 2 s of 4
    assert second["modalities"] == ["face"]  # its eda begins behind them
    assert (third["modalities"], third["status"]) == ([], "rejected")
    assert (third["reason"], third["detail"]) == (
        "no_series",
        "face: 3.npz holds no number in its 51 entries",
    )


def test_features_that_do_not_fit_are_named(made: str) -> None:
    face = {"kind": "series", "num_values": 3, "rate": 25.0}
    other = config_of({"face": {**face, "num_values": 4}})
    with pytest.raises(ConfigError, match="found 3 values an entry, but this model takes 4 of"):
        series_settings(other, {}, made)
    with pytest.raises(ConfigError, match=r"30 entries a second, but this model takes 25\.0 of"):
        series_settings(config_of({"face": face}), {"face": Given(made, 30.0)}, made)
    with pytest.raises(ConfigError, match="called pulse, but this model takes face"):
        series_settings(config_of({"face": face}), {"pulse": Given(made)}, made)

    config = config_of({"face": face})
    options = series_settings(config, {}, made)
    folder = Path(made)
    np.savez(folder / "1.npz", face=np.zeros((9, 2)), fps=25)
    np.savez(folder / "2.npz", face=np.zeros((9, 3)), fps=30)
    (folder / "3.npz").write_text("no zip")
    details = [(row["reason"], row["detail"]) for row in rows_of(made, config, options)]
    assert [reason for reason, _ in details] == ["bad_series"] * 3
    assert details[0][1] == "face: 1.npz holds an array of shape (9, 2), expected (entries, 3)"
    assert details[1][1] == "face: 2.npz has 30 entries a second, expected 25"


def test_a_model_whose_features_nobody_gives(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    face = {"kind": "series", "num_values": 3}
    with pytest.raises(ConfigError, match=r"no features are given for 'face'.*--features face=PA"):
        series_settings(config_of({"face": face}), {}, str(tmp_path))
    config = config_of({"face": {**face, "optional": True}})
    options = series_settings(config, {}, str(tmp_path))
    assert any("clips are scored without" in line for line in take_remarks())
    assert (options["face"].folder, has_extractor("face")) == (None, False)


def test_the_cache_knows_features_by_their_content(made: str, tmp_path: Path) -> None:
    given = {"face": Given(made)}
    config = config_of(series_branches(given, made))
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in Path(made).iterdir():
        (copy / file.name).write_bytes(file.read_bytes())

    def folder(place: Path) -> str:
        options = series_settings(config, {"face": Given(str(place))}, str(place))
        (facts,) = extractor_facts(["face"], options).values()
        assert facts["source"] == place.name
        name = extractor_of("face", options["face"]).folder(options)
        assert name.endswith(f"{facts['key']}{NAMED}")
        return name

    assert folder(copy) == folder(Path(made))
    other = tmp_path / "other"
    copy.rename(other)
    np.savez(other / "1.npz", face=np.ones((50, 3)), fps=25)
    assert folder(other) != folder(Path(made))
