"""The model card: where a checkpoint comes from and what it may be used for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

UNKNOWN = "unknown"

NO_LICENCE = "none"
"""Licence of weights that come from nowhere: of a training from scratch."""

LIMITS = (
    "Scores are a model's estimate of how strongly listeners perceive an expression. They are not "
    "what a person feels, and no basis for decisions about a person."
)


@dataclass(frozen=True)
class ModelCard:
    """The facts that are saved beside the weights.

    Attributes:
        name: short name of the model.
        targets: EMI outputs in order; empty for a model with VAD alone.
        backbone: where the backbone's weights come from.
        backbone_licence: their licence (SPDX), which applies to every model made from them.
        recipe: name of the training recipe.
        data: its training data, with a hash where there is one.
        split: how clips were divided into training and validation.
        metrics: measured values by name.
        commit: this project's version or commit at training time.
        encoders: other weights that it was made from, by modality: ``name``, ``licence`` (SPDX) and
            ``sha256`` of each.
        extractors: facts of what made its inputs by modality, as the ASR model of the text.
    """

    name: str
    targets: tuple[str, ...]
    backbone: str = UNKNOWN
    backbone_licence: str = UNKNOWN
    recipe: str = UNKNOWN
    data: str = UNKNOWN
    split: str = UNKNOWN
    metrics: Mapping[str, float] = field(default_factory=dict)
    commit: str = UNKNOWN
    encoders: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    extractors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def licences(self) -> str:
        """The licences of all weights that the model was made from, as one SPDX expression."""
        encoders = [encoder.get("licence", UNKNOWN) for encoder in self.encoders.values()]
        found = dict.fromkeys([self.backbone_licence, *encoders])
        some = [licence for licence in found if licence != NO_LICENCE] or [NO_LICENCE]
        return " AND ".join(some)

    def to_json(self) -> str:
        """Return the card as JSON, the content of card.json."""
        encoders = {modality: dict(facts) for modality, facts in self.encoders.items()}
        content = asdict(self) | {"metrics": dict(self.metrics), "encoders": encoders}
        for later in ("encoders", "extractors"):
            if not content[later]:  # as before there were any
                del content[later]
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ModelCard:
        """Read what `to_json` wrote; unknown fields are left out."""
        fields = {name: content[name] for name in cls.__dataclass_fields__ if name in content}
        return cls(**{**fields, "targets": tuple(fields["targets"])})

    def to_markdown(self) -> str:
        """Return the card for people, the content of the checkpoint's README.md."""
        facts = {
            "Targets, in order": ", ".join(self.targets) or "none: valence-arousal-dominance alone",
            "Backbone": self.backbone,
            "Licence of the backbone's weights": self.backbone_licence,
            **{
                f"Encoder of {modality}": f"{facts.get('name')} ({facts.get('licence')})"
                for modality, facts in self.encoders.items()
            },
            "Recipe": self.recipe,
            "Data": self.data,
            "Split": self.split,
            "Made by version": self.commit,
            **{f"Made {name} of clips": _told(facts) for name, facts in self.extractors.items()},
        }
        rows = [f"| {key} | {value} |" for key, value in facts.items()]
        measured = [f"| {key} | {value:.4f} |" for key, value in self.metrics.items()]
        table = ["| what | value |", "|---|---|", *rows, *measured]
        return "\n".join([f"# {self.name}", "", *table, "", LIMITS, ""])


def _told(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items())
