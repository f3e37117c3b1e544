"""The vision branch: face crops become a state a frame; frames without a face do not count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emi_model.architecture.branch import BranchOutput, InputSpec, frame_mask
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.encoder_branch import EncoderBranch, is_encoded
from emi_model.architecture.encoders.hub_models import hub_model, last_states, states_width
from emi_model.architecture.encoders.keras_network import KERAS, KerasNetwork
from emi_model.architecture.encoders.pictures import Processor
from emi_model.architecture.encoders.small_networks import SMALL_CONV, SmallConv
from emi_model.architecture.registry import register_branch
from emi_model.arrays import Array, Floats
from emi_model.errors import ConfigError
from emi_model.modalities import FACES_PER_SECOND, VISION
from emi_model.units import SAMPLING_RATE

FRAMES_AT_ONCE = {"cpu": 32, "cuda": 256}
"""Frames of one pass of the encoder, of all clips of a batch."""

STATES, CLS, CLASSIFIER = "mean", "cls", "classifier"
"""Values of ``pooling``."""


@register_branch(VISION)
class VisionBranch(EncoderBranch):
    """Any picture encoder of `transformers`, one from a Keras file, or a small new one.

    Arguments: ``encoder``, the content of a config.json; ``processor``, that of a
    preprocessor_config.json; ``pooling``, what is a frame's state: ``mean`` over all tokens of the
    last hidden states (Hallmen et al., arXiv 2504.11460), ``cls``, the first token's, or
    ``classifier`` (the same authors' system of 2024): the mean over all hidden states and tokens,
    and the classifier's outputs; ``max_frames``: a clip of more is thinned out evenly to so many;
    ``trained``; ``dropout`` of the states.
    """

    def __init__(self, config: EmiConfig, arguments: Mapping[str, Any]) -> None:
        """Build the branch with fresh weights.

        Raises:
            ConfigError: arguments that no picture encoder takes.
        """
        super().__init__(VISION, arguments, ("processor", "pooling", "max_frames"))
        self._arguments = dict(arguments["encoder"])
        self._pooling = arguments.get("pooling", STATES)
        self._max_frames: int | None = arguments.get("max_frames")
        if self._pooling not in (STATES, CLS, CLASSIFIER):
            raise ConfigError(
                f"vision pooling is {self._pooling!r}, expected {STATES!r}, {CLS!r} or "
                f"{CLASSIFIER!r}"
            )
        if self._max_frames is not None and self._max_frames < 1:
            raise ConfigError(f"max_frames is {self._max_frames}, expected 1 or more, or none")
        self._content = dict(arguments.get("processor") or {"size": 64})
        self._processor = Processor.of(self._content)
        self.encoder = self._built()
        sizes: Any = getattr(self.encoder, "config", self.encoder)
        logits = int(sizes.num_labels) if self._pooling == CLASSIFIER else 0
        self.hidden_size = states_width(sizes)
        self.feature_size = self.hidden_size + logits
        self.hop_samples = int(SAMPLING_RATE / FACES_PER_SECOND)
        self.spec = InputSpec(
            min_length=1, prepare=self.prepared, rate=FACES_PER_SECOND, usable=_has_face
        )
        self.train(self.training)

    def prepared(self, values: Array) -> Array:
        """Return the frames with a face of crops, uint8 (N, H, W, 3): (n, H, W, 3).

        They get the encoder's size on the device that encodes them. Of an encoder's output, float32
        (N, D), the rows of these frames are returned.
        """
        rows = _with_face(values)
        if self._max_frames is not None and len(rows) > self._max_frames:
            # as the authors thin out a clip's frames
            rows = rows[np.linspace(0, len(rows) - 1, self._max_frames).astype(int)]
        return values[rows]

    def forward(
        self, values: Tensor, lengths: Tensor, *, dtype: torch.dtype | None = None
    ) -> BranchOutput:
        """Encode B clips; their vector is the mean of their frames' states.

        Args:
            values: uint8 (B, n, H, W, 3), or float32 (B, n, D), the encoder's output.
            lengths: int64 (B,), frames of each clip, one or more.
            dtype: type in which the encoder computes (autocast).
        """
        if is_encoded(values):
            states = values
        else:
            mask = frame_mask(lengths, values.shape[1])
            found = self._states(values[mask], dtype)
            states = found.new_zeros((*values.shape[:2], found.shape[-1])).masked_scatter(
                mask[..., None], found
            )
        return BranchOutput(self.dropout(states), lengths)

    @property
    def settings(self) -> dict[str, Any]:
        """All but weights that decides the encoder's output for a clip, for its hash."""
        return {
            "encoder": self._arguments,
            "processor": self._content,
            "pooling": self._pooling,
        }

    @torch.inference_mode()
    def encode(self, clips: Sequence[Array]) -> list[Floats]:
        """Return a row for each frame of each clip, (N, D), zero where there is no face."""
        device = next(self.parameters()).device
        found = []
        for frames in clips:
            rows = _with_face(frames)
            states = np.zeros((len(frames), self.feature_size), np.float32)
            pictures = torch.from_numpy(frames[rows]).to(device)
            states[rows] = self._states(pictures, None).cpu().numpy()
            found.append(states)
        return found

    def _built(self) -> nn.Module:
        kind = self._arguments.get("model_type")
        if kind not in (KERAS, SMALL_CONV):
            return hub_model(self._arguments, classifies=self._pooling == CLASSIFIER)
        if self._pooling != STATES:
            raise ConfigError(f"vision pooling is {self._pooling!r}, expected {STATES!r}: {kind}")
        if kind == KERAS:
            return KerasNetwork(self._arguments, self._processor.num_channels)
        side = self._processor.crop or self._processor.side
        if side is None or side[0] != side[1]:
            raise ConfigError(f"processor gives pictures of {side}, expected squares of one size")
        arguments = {"image_size": side[0], **self._arguments}
        if arguments["image_size"] != side[0]:
            raise ConfigError(
                f"encoder.image_size is {arguments['image_size']}, the processor's {side[0]}"
            )
        return SmallConv(arguments, self._processor.num_channels)

    def _states(self, pictures: Tensor, dtype: torch.dtype | None) -> Tensor:
        """Return the state (n, D) of each picture, uint8 (n, H, W, 3)."""
        device = pictures.device.type
        at_once = FRAMES_AT_ONCE.get(device, FRAMES_AT_ONCE["cpu"])
        with self.gradients(), torch.autocast(device, dtype, enabled=dtype is not None):
            parts = [self._pooled(some) for some in torch.split(pictures, at_once)]
        return torch.cat(parts)

    def _pooled(self, pictures: Tensor) -> Tensor:
        scaled = self._processor.scaled(self._processor.sized(pictures))
        if self._pooling == CLASSIFIER:
            found = self.encoder(scaled, output_hidden_states=True)
            every = torch.stack([states.float().mean(1) for states in found.hidden_states])
            return torch.cat([every.mean(0), found.logits.float()], dim=-1)
        states = last_states(self.encoder(scaled)).float()
        return states[:, 0] if self._pooling == CLS else states.mean(1)


def _has_face(values: Array) -> bool:
    return bool(values.any())


def _with_face(values: Array) -> Array:
    """Return the places of frames that are not all zero, int64."""
    found: Array = np.flatnonzero(values.reshape(len(values), -1).any(axis=1))
    return found
