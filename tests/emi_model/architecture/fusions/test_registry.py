"""Fusions by name, in the folder of fusions and in those below."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from emi_model.architecture import fusions
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions import registry
from emi_model.architecture.fusions.fusion import Fused, Fusion
from emi_model.architecture.fusions.registry import (
    build_fusion,
    fusion_class,
    fusion_names,
    register_fusion,
)
from emi_model.errors import ConfigError
from emi_model.training.recipes import FUSIONS


def test_every_fusion_is_a_variant_of_any_recipe_but_the_first() -> None:
    assert set(fusion_names()) == {"paper", *FUSIONS}


@pytest.mark.parametrize("name", FUSIONS)
def test_a_fusion_lies_in_the_file_of_its_name(name: str) -> None:
    found = fusion_class(EmiConfig(fusion={"name": name}))
    assert found.__module__.rpartition(".")[2] == name


def test_no_two_files_have_the_same_name() -> None:
    folder = Path(registry.__file__).parent
    counts = Counter(path.name for path in folder.rglob("*.py") if path.name != "__init__.py")
    assert {name: count for name, count in counts.items() if count > 1} == {}


@pytest.mark.parametrize("name", FUSIONS)
def test_arguments_of_no_sense_are_refused_by_name(name: str) -> None:
    branches = {"audio": Fused(8), "text": Fused(4, is_sequential=False)}
    config = EmiConfig(branches={modality: {} for modality in branches})
    usual = fusion_class(replace(config, fusion={"name": name})).usual
    assert bool(usual) == (name != "late"), "its settings can be listed and set"
    wrong = [("dropout", -0.5), ("dropout", 1.0), ("num_heads", 0)]
    wrong += [(each, -1) for each, value in usual.items() if type(value) in (int, type(None))]
    for argument, value in wrong:
        if argument in usual:
            fusion = {"name": name, argument: value}
            with pytest.raises(ConfigError, match=rf"^fusion\.{argument} is {value}, expected"):
                build_fusion(replace(config, fusion=fusion), branches)


@pytest.mark.parametrize("name", ["sum", "registry", "attention.sum"])
def test_an_unknown_name_is_answered_by_all_that_there_are(name: str) -> None:
    with pytest.raises(ConfigError, match="found no fusion for") as refused:
        fusion_class(EmiConfig(fusion={"name": name}))
    assert str(fusion_names()) in str(refused.value)


def test_a_name_of_a_file_below_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder beside ours, as one of ours: what it registers is found by its file's name."""
    (tmp_path / "further").mkdir()
    (tmp_path / "further/__init__.py").touch()
    (tmp_path / "further/summed.py").write_text(
        "from emi_model.architecture.fusions.fusion import Fusion\n"
        "from emi_model.architecture.fusions.registry import register_fusion\n"
        "@register_fusion('summed')\n"
        "class SummedFusion(Fusion):\n    pass\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(fusions, "__path__", [*fusions.__path__, str(tmp_path)])
    monkeypatch.setattr(registry, "_FUSIONS", dict(registry._FUSIONS))
    assert fusion_class(EmiConfig(fusion={"name": "summed"})).__name__ == "SummedFusion"


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ConfigError, match="registered twice"):
        register_fusion("late")(Fusion)
