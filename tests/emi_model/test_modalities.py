"""Registries find what a module registers, this project's by name and others' by `EMI_PLUGINS`."""

from __future__ import annotations

from pathlib import Path

import pytest

from emi_model.architecture.audio_branch import AudioBranch
from emi_model.architecture.registry import branch_class
from emi_model.errors import ConfigError
from emi_model.modalities import add_entry, find_entry, size_of

PLUGIN = """
from emi_model.architecture.branch import Branch
from emi_model.architecture.registry import register_branch

@register_branch("smell_of_{name}")
class Smell(Branch):
    pass
"""


def test_ours_is_found_by_the_name_of_its_module() -> None:
    assert branch_class("audio") is AudioBranch


@pytest.mark.parametrize("modality", ["taste", "no identifier", "../audio"])
def test_an_unknown_modality_is_refused_with_what_there_is(modality: str) -> None:
    with pytest.raises(ConfigError, match=r"no branch for .*expected one of .*'audio'.*EMI_PLUG"):
        branch_class(modality)


def test_a_plugin_is_imported_when_a_registry_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (tmp_path / f"plugin_{name}.py").write_text(PLUGIN.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("EMI_PLUGINS", "plugin_one, plugin_two")
    assert branch_class("smell_of_one") is not branch_class("smell_of_two")


def test_a_plugin_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMI_PLUGINS", "no_such_plugin")
    with pytest.raises(ConfigError, match=r"EMI_PLUGINS names 'no_such_plugin'.*PYTHONPATH"):
        branch_class("audio")
    monkeypatch.delenv("EMI_PLUGINS")
    assert branch_class("audio") is AudioBranch


def test_a_module_of_ours_that_lacks_a_library_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_more.py").write_text("import a_library_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_missing"):
        find_entry({}, "more", "needs_more", "branch")


@pytest.mark.parametrize("modality", ["audio", "Text", "two words", ""])
def test_names_are_identifiers_and_used_once(modality: str) -> None:
    with pytest.raises(ConfigError, match=r"registered twice|lower-case identifier"):
        add_entry({"audio": 1}, modality, 2)


def test_clips_are_sized_by_their_audio_else_by_how_long_the_rest_takes() -> None:
    text, faces = b"fifteen letters", range(10)
    assert size_of({"text": text, "audio": range(700)}) == 700
    assert size_of({"text": text}) == 16_000
    assert size_of({"text": text, "vision": faces}) == 32_000
    assert size_of({"smell": range(11)}) == 11
    assert size_of({}) == 0
