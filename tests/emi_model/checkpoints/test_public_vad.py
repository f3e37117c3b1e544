"""The licence that travels with the weights: what is not named is not known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emi_model.checkpoints.card import UNKNOWN
from emi_model.checkpoints.public_vad import licence_of, vad_metadata
from emi_model.errors import CheckpointError

PUBLIC_NAME = "wav2vec2-large-robust-12-ft-emotion-msp-dim"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"_name_or_path": "torch"}')
    return tmp_path / "model"


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        (
            "---\nlanguage: en\nlicense: cc-by-nc-sa-4.0\ntags:\n- x\n---\n# Model\n",
            "cc-by-nc-sa-4.0",
        ),
        ('---\nlicense: "mit"\n---\n', "mit"),
        ("---\nlicense:\n- cc-by-nc-4.0\n- mit\ntags:\n- x\n---\n", "cc-by-nc-4.0 AND mit"),
        ("---\nlicense: [mit, 'apache-2.0']\ntags: [x]\n---\n", "mit AND apache-2.0"),
        ("---\nlicense:\ntags:\n- x\n---\n", UNKNOWN),
        ("---\nlanguage: en\n---\n\nlicense: mit\n", UNKNOWN),  # the text says much
        ("# Model\nlicense: mit\n", UNKNOWN),
        ("---\nlicense: mit\n", UNKNOWN),  # never closed
        ("", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_licence_is_what_the_front_matter_names(
    folder: Path, readme: str | None, licence: str
) -> None:
    if readme is not None:
        (folder / "README.md").write_text(readme)
    assert licence_of(folder) == licence


def test_licence_of_the_known_model_needs_no_readme(folder: Path) -> None:
    assert licence_of(folder) == UNKNOWN  # its config names no origin
    assert licence_of(folder, f"audeering/{PUBLIC_NAME}") == "CC-BY-NC-SA-4.0"
    copy = folder.rename(folder.parent / PUBLIC_NAME)
    assert licence_of(copy) == "CC-BY-NC-SA-4.0"
    (copy / "config.json").write_text(json.dumps({"_name_or_path": f"audeering/{PUBLIC_NAME}"}))
    assert licence_of(copy.rename(copy.parent / "renamed")) == "CC-BY-NC-SA-4.0"


@pytest.mark.parametrize("labels", [None, {}, {"0": "LABEL_0", "1": "LABEL_1"}])
def test_a_plain_wav2vec2_model_is_called_so(labels: object, folder: Path) -> None:
    config = {"model_type": "wav2vec2", "id2label": labels}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="is a plain wav2vec2 model, expected one with"):
        vad_metadata(folder, "x")
