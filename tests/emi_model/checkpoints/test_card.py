from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emi_model.checkpoints.card import LIMITS, UNKNOWN, ModelCard
from emi_model.targets import EMI_TARGETS

FULL = ModelCard(
    name="demo",
    targets=EMI_TARGETS,
    backbone="owner/backbone",
    backbone_licence="CC-BY-NC-SA-4.0",
    recipe="paper",
    data="clips of 2024 (sha256 abc)",
    split="by subject",
    metrics={"mean Pearson": 0.25},
    commit="0.1.0",
)


TEXT = st.text('a:|"\\\n\0\x7fÜ\u2028漢\U0001f600')
"""Letters that an encoding could lose; all of Unicode costs seconds to list on a fresh machine."""


@given(TEXT, st.dictionaries(TEXT, st.floats(-1, 1)), TEXT)
def test_a_card_survives_json(name: str, metrics: dict[str, float], data: str) -> None:
    card = ModelCard(name=name, targets=("Joy", "Überraschung"), metrics=metrics, data=data)
    assert ModelCard.from_dict(json.loads(card.to_json())) == card


def test_what_is_not_known_is_said() -> None:
    card = ModelCard(name="x", targets=())
    unknown = {entry.name for entry in fields(card) if getattr(card, entry.name) == UNKNOWN}
    assert unknown == {"backbone", "backbone_licence", "recipe", "data", "split", "commit"}
    assert "| Licence of the backbone's weights | unknown |" in card.to_markdown()


def test_fields_of_a_newer_version_are_left_out() -> None:
    content = json.loads(FULL.to_json()) | {"wings": 2}
    assert ModelCard.from_dict(content) == FULL


@pytest.mark.parametrize("content", [{}, {"name": "x"}, {"targets": ["Joy"]}])
def test_a_card_without_name_or_targets_is_none(content: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        ModelCard.from_dict(content)


def test_people_read_everything_and_the_limits() -> None:
    text = FULL.to_markdown()
    assert text.startswith("# demo\n")
    assert text.endswith(LIMITS + "\n")
    for said in (
        ", ".join(EMI_TARGETS),
        *(FULL.backbone, FULL.backbone_licence, FULL.recipe, FULL.data, FULL.split, FULL.commit),
        "| mean Pearson | 0.2500 |",
    ):
        assert said in text


def test_a_vad_model_says_that_it_has_no_targets() -> None:
    assert "none: valence-arousal-dominance alone" in ModelCard("x", ()).to_markdown()


def test_encoders_are_named_with_their_licences() -> None:
    facts = {"name": "owner/encoder", "licence": "Apache-2.0", "sha256": "ab"}
    card = replace(FULL, encoders={"text": facts, "vision": {**facts, "licence": "MIT"}})
    assert ModelCard.from_dict(json.loads(card.to_json())) == card
    assert "| Encoder of text | owner/encoder (Apache-2.0) |" in card.to_markdown()
    assert card.licences == "CC-BY-NC-SA-4.0 AND Apache-2.0 AND MIT"
    assert replace(card, backbone_licence="none").licences == "Apache-2.0 AND MIT"
    assert (FULL.licences, replace(FULL, backbone_licence="none").licences) == (
        FULL.backbone_licence,
        "none",
    )
    assert "encoders" not in json.loads(FULL.to_json())  # as it was before there were any


def test_a_card_says_what_made_the_inputs() -> None:
    assert "extractors" not in json.loads(FULL.to_json())
    read = replace(FULL, extractors={"text": {"asr_model": "tiny.en", "asr_sha256": "ab"}})
    assert ModelCard.from_dict(json.loads(read.to_json())) == read
    assert "| Made text of clips | asr_model tiny.en, asr_sha256 ab |" in read.to_markdown()
