"""The state dict of "Semantic Matters" (Hallmen et al. 2025, arXiv 2504.11460), translated to ours.

| theirs | ours |
|---|---|
| ``audio_model.wav2vec2.*`` | ``backbone.wav2vec2.*`` |
| ``audio_model.classifier.{dense,out_proj}.*`` | ``vad_head.*`` |
| ``lstm_audio.*``, ``lstm_vis.*`` | ``fusion.lstms.{audio,vision}.*`` |
| ``fusion_model.{0,2}.*`` | ``fusion.layers.{0,2}.*`` |
| ``text_model.*`` | ``branches.text.encoder.*`` |

On one GPU their code writes every name with ``module.``, which is left out here. Their pictures'
encoder is frozen and not in the file: it has to be named. A clip without words gets the encoding of
an empty text, as in their code; one without faces, which stops their code, is rejected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from emi_model.architecture.config import OPTIONAL, EmiConfig
from emi_model.architecture.longest_clip import LONGEST_SAMPLES
from emi_model.architecture.model import EmiModel
from emi_model.architecture.text_branch import TextBranch
from emi_model.checkpoints.card import UNKNOWN, ModelCard
from emi_model.checkpoints.checkpoint import build
from emi_model.checkpoints.encoders import load_encoder
from emi_model.checkpoints.foreign import load_authors_model, read_pickle, translate
from emi_model.checkpoints.metadata import CONFIG_FILE, hash_files, read_config
from emi_model.checkpoints.public_vad import licence_of, origin_of
from emi_model.errors import CheckpointError
from emi_model.modalities import AUDIO, TRANSCRIPT, VISION
from emi_model.units import CLIP_SECONDS, seconds_to_samples

ReadOut = Literal["exact", "authors"]

_MARKS = ("lstm_vis.", "text_model.")
"""Beginnings of names that only this system's state dict has."""

_REPLICATED = "module."
_OURS = {
    "lstm_vis.": "fusion.lstms.vision.",
    "text_model.": f"branches.{TRANSCRIPT}.encoder.",
    "fusion.lstm.": f"fusion.lstms.{AUDIO}.",
}
_FIRST_WORDS = f"fusion.stand_ins.{TRANSCRIPT}"


@dataclass(frozen=True)
class Parts:
    """What is not in the state dict.

    Attributes:
        backbone: folder whose config.json describes the wav2vec2 backbone; no weights are read.
        text_encoder: folder with the text encoder's config.json and tokenizer.json; the same.
        vision_encoder: the frozen picture encoder with its weights: a folder or a hub id.
        licence: of the backbone; None: that in its folder.
    """

    backbone: Path
    text_encoder: Path
    vision_encoder: str
    licence: str | None = None


def load_imported(
    state_dict: Path,
    backbone: Path,
    *,
    text_encoder: Path | None = None,
    vision_encoder: str | None = None,
    licence: str | None = None,
    read_out: ReadOut = "exact",
    longest_seconds: float | None = None,
) -> tuple[EmiModel, ModelCard]:
    """Load the state dict of either system of the same authors; its names say which.

    The arguments but the first two and the licence are those of 2025, see `load_semantic_matters`.

    Raises:
        CheckpointError: the file is of neither, or arguments are missing or do not fit.
    """
    given = text_encoder or vision_encoder or read_out != "exact"
    names = read_pickle(state_dict)
    if not any(name.removeprefix(_REPLICATED).startswith(_MARKS) for name in names):
        if given:
            raise CheckpointError(
                f"{state_dict}: is not of Semantic Matters (2025), whose options were given: leave "
                "them out"
            )
        return load_authors_model(state_dict, backbone, licence)
    if text_encoder is None or vision_encoder is None:
        raise CheckpointError(
            f"{state_dict}: is of Semantic Matters (2025), whose encoders of text and pictures are "
            "not described in it: name them with --text-encoder and --vision-encoder"
        )
    if longest_seconds is not None and read_out != "authors":
        raise CheckpointError("--longest-seconds is given: it needs --read-out authors")
    return load_semantic_matters(
        state_dict,
        Parts(backbone, text_encoder, vision_encoder, licence),
        read_out=read_out,
        longest_seconds=longest_seconds or CLIP_SECONDS,
    )


def load_semantic_matters(
    state_dict: Path,
    parts: Parts,
    *,
    read_out: ReadOut = "exact",
    longest_seconds: float = CLIP_SECONDS,
) -> tuple[EmiModel, ModelCard]:
    """Load the state dict that the code of 2025 saves.

    Args:
        state_dict: the .pth file.
        parts: what is not in it.
        read_out: ``exact``: padding is masked, and the LSTM is read at a clip's last frame;
            ``authors``: as in their code (`emi_model.architecture.longest_clip`).
        longest_seconds: for ``authors``, how long the longest clip of the batch lasts.

    Raises:
        CheckpointError: the file is no state dict of that model: a weight is missing, superfluous
            or of another shape; or one of the parts cannot be read.
    """
    state = _translated(read_pickle(state_dict))
    vision = load_encoder(parts.vision_encoder, VISION)
    prefix = f"branches.{VISION}.encoder."
    state |= {prefix + name: weight for name, weight in vision.weights.items()}
    audio = {LONGEST_SAMPLES: seconds_to_samples(longest_seconds)} if read_out == "authors" else {}
    words = {"encoder": read_config(parts.text_encoder), "pooling": "cls", OPTIONAL: True}
    config = EmiConfig(
        backbone=read_config(parts.backbone),
        branches={
            AUDIO: audio,
            VISION: {**vision.arguments, "trained": False},
            TRANSCRIPT: words,
        },
        fusion={"name": "concat", **_sizes(state, state_dict)},
    )
    embeddings = state.get(f"branches.{TRANSCRIPT}.encoder.embeddings.word_embeddings.weight")
    state[_FIRST_WORDS] = torch.zeros(0 if embeddings is None else embeddings.shape[1])
    model = build(config, state, state_dict, files={TRANSCRIPT: parts.text_encoder})
    _encode_no_words(model)
    name = origin_of(parts.text_encoder)
    card = ModelCard(
        name=state_dict.stem,
        targets=config.targets,
        backbone=origin_of(parts.backbone),
        backbone_licence=parts.licence or licence_of(parts.backbone),
        recipe=f"semantic_matters (imported); {_described(read_out, longest_seconds)}",
        data="Hume-Vidmimic2 (as its authors state)",
        split=UNKNOWN,
        encoders={
            VISION: vision.facts,
            TRANSCRIPT: {
                "name": name,
                "licence": licence_of(parts.text_encoder, name),
                "sha256": hash_files(parts.text_encoder, (CONFIG_FILE,)),
            },
        },
    )
    return model, card


def _translated(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict under our names; unknown names do not change."""
    if all(name.startswith(_REPLICATED) for name in state):
        state = {name.removeprefix(_REPLICATED): weight for name, weight in state.items()}
    found = {}
    for name, weight in translate(state).items():
        for theirs, ours in _OURS.items():
            if name.startswith(theirs):
                name = ours + name.removeprefix(theirs)
                break
        found[name] = weight
    return found


def _sizes(state: Mapping[str, Tensor], source: Path) -> dict[str, object]:
    """Return the widths of the fusion's layers, which stand in the shapes of its weights."""
    names = ("fusion.layers.0.weight", f"fusion.lstms.{VISION}.weight_hh_l0")
    if missing := [name for name in names if name not in state or state[name].ndim != 2]:
        raise CheckpointError(
            f"{source}: found no {', '.join(missing)} (fusion_model.0, lstm_vis): expected the "
            "state dict of Semantic Matters"
        )
    first, vision = (state[name] for name in names)
    return {"hidden_size": first.shape[0], "lstm_sizes": {VISION: vision.shape[1]}}


@torch.no_grad()
def _encode_no_words(model: EmiModel) -> None:
    """Let the encoding of an empty text stand in for words that a clip lacks."""
    branch = model.each_branch()[TRANSCRIPT]
    assert isinstance(branch, TextBranch), "the branch of text"
    (vector,) = branch.encode([np.zeros(0, np.uint8)])
    model.get_parameter(_FIRST_WORDS).copy_(torch.from_numpy(vector[0]))


def _described(read_out: ReadOut, longest_seconds: float) -> str:
    """Return what a card says about how audio is read."""
    if read_out == "exact":
        return "read-out exact: padding is masked, the LSTM is read at a clip's last frame"
    return (
        "read-out of the authors: no mask, a clip of n samples is padded to T frames and read at "
        "frame max(1, floor(n / (192000 / T))), as in a batch whose longest clip lasts "
        f"{longest_seconds:g} s"
    )
