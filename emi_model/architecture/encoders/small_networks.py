"""Small encoders to train from scratch: convolutions for pictures, hashed words for texts."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from emi_model.errors import ConfigError

SMALL_CONV = "small_conv"
"""``model_type`` of `SmallConv`."""

HASHED_WORDS = "words"
"""Argument ``tokens`` of a text branch that has no tokenizer of its own."""

_WORD = re.compile(r"\w+|[^\w\s]")


class SmallConv(nn.Module):
    """Convolutions that halve a picture, each with a norm of its own picture, then one layer.

    Norms over the batch would let clips change each other's scores.
    """

    def __init__(self, arguments: Mapping[str, Any], num_channels: int) -> None:
        """Build it with fresh weights.

        Args:
            arguments: ``channels`` of each convolution, ``hidden_size`` of the output, and
                ``image_size``, the side of a picture in pixels.
            num_channels: of a picture.

        Raises:
            ConfigError: other arguments, or a picture that is halved too often.
        """
        super().__init__()
        given = {"channels": [16, 32, 64, 64], "hidden_size": 64, "image_size": 64, **arguments}
        if unknown := sorted(
            given.keys() - {"model_type", "channels", "hidden_size", "image_size"}
        ):
            raise ConfigError(f"encoder has {unknown}, which {SMALL_CONV} does not take")
        channels, side = list(given["channels"]), int(given["image_size"])
        for _ in channels:
            side = (side + 1) // 2
        if not channels or given["image_size"] < 2 ** len(channels):
            raise ConfigError(
                f"encoder.channels is {channels}, expected one or more, and few enough to halve "
                f"pictures of {given['image_size']} pixels"
            )
        self.layers = nn.Sequential()
        for width, out in zip([num_channels, *channels], channels, strict=False):
            self.layers.append(nn.Conv2d(width, out, 3, stride=2, padding=1))
            self.layers.append(nn.GroupNorm(1, out))
            self.layers.append(nn.GELU())
        self.hidden_size = int(given["hidden_size"])
        self.out = nn.Linear(channels[-1] * side * side, self.hidden_size)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return one state a picture, (N, 1, hidden), of float32 (N, C, H, W)."""
        out: Tensor = self.out(self.layers(pictures).flatten(1))
        return out[:, None]


def hashed_words(text: str, max_tokens: int, vocab_size: int) -> list[int]:
    """Return a token for each word and sign, by a hash of its lower case, after a first one.

    0 is padding and 1 the first token, at which a clip's state is read.
    """
    words = _WORD.findall(text.lower())[: max_tokens - 1]
    return [1, *(2 + zlib.crc32(word.encode()) % (vocab_size - 2) for word in words)]
