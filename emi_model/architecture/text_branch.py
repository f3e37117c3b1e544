"""The text branch: a transcript's bytes become tokens, and an encoder's states one vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from emi_model.architecture.branch import BranchOutput, InputSpec, frame_mask, masked_mean
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.encoder_branch import EncoderBranch, is_encoded
from emi_model.architecture.encoders.gte import GTE, GteEncoder
from emi_model.architecture.encoders.hub_models import hub_model, last_states, states_width
from emi_model.architecture.encoders.small_networks import HASHED_WORDS, hashed_words
from emi_model.architecture.registry import register_branch
from emi_model.arrays import Array, Floats
from emi_model.audio.batching import pad, plan_batches
from emi_model.errors import CheckpointError, ConfigError
from emi_model.modalities import TRANSCRIPT

TOKENIZER_FILE = "tokenizer.json"
MAX_TOKENS = 128
"""Tokens of a transcript that are read, the first and last ones included."""

TOKENS_AT_ONCE = 8_192
"""Tokens, padding included, of one pass when clips are encoded ahead of training."""


@register_branch(TRANSCRIPT)
class TextBranch(EncoderBranch):
    """Any text encoder of `transformers`, gte's, or a small new one over hashed words.

    Arguments: ``encoder``, the content of a config.json; ``pooling``, ``cls`` (the state at the
    first token) or ``mean`` (of the valid tokens' states); ``max_tokens``; ``trained``; ``dropout``
    of the vector; ``tokens: words`` for hashed words in place of a tokenizer's file.

    A clip has one frame, its vector (Hallmen et al., arXiv 2504.11460: the first token's state).
    """

    def __init__(self, config: EmiConfig, arguments: Mapping[str, Any]) -> None:
        """Build the branch with fresh weights; its tokenizer is read by `read_files`.

        Raises:
            ConfigError: arguments that no text encoder takes.
        """
        super().__init__(TRANSCRIPT, arguments, ("pooling", "max_tokens", "tokens"))
        self._arguments = dict(arguments["encoder"])
        self._pooling = arguments.get("pooling", "cls")
        self._max_tokens = int(arguments.get("max_tokens", MAX_TOKENS))
        self._tokens = arguments.get("tokens")
        if self._pooling not in ("cls", "mean"):
            raise ConfigError(f"text pooling is {self._pooling!r}, expected 'cls' or 'mean'")
        if self._tokens not in (None, HASHED_WORDS):
            raise ConfigError(f"tokens is {self._tokens!r}, expected {HASHED_WORDS!r} or none")
        if self._max_tokens < 2:
            raise ConfigError(f"max_tokens is {self._max_tokens}, expected 2 or more")
        is_gte = self._arguments.get("model_type") == GTE
        self.encoder = GteEncoder(self._arguments) if is_gte else hub_model(self._arguments)
        sizes: Any = self.encoder.config
        self._pad = int(getattr(sizes, "pad_token_id", None) or 0)
        self._vocab_size = int(sizes.vocab_size)
        self._tokenizer: Tokenizer | None = None
        self.feature_size = self.hidden_size = states_width(sizes)
        self.is_sequential = False
        self.spec = InputSpec(min_length=1, prepare=self.prepared)
        self.train(self.training)

    def read_files(self, folder: Path) -> None:
        """Read the tokenizer, unless words are hashed.

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        if self._tokens is not None:
            return
        try:
            self.use(Tokenizer.from_file(str(folder / TOKENIZER_FILE)))
        except Exception as error:
            raise CheckpointError(
                f"{folder / TOKENIZER_FILE}: cannot be read as a tokenizer ({error}): restore it"
            ) from error

    def write_files(self, folder: Path) -> None:
        """Write the tokenizer."""
        if self._tokenizer is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / TOKENIZER_FILE).write_text(self._tokenizer.to_str(), encoding="utf-8")

    def use(self, tokenizer: Tokenizer) -> None:
        """Take a tokenizer; how it pads is ignored.

        Raises:
            ConfigError: it has more tokens than the encoder.
        """
        if tokenizer.get_vocab_size() > self._vocab_size:
            raise ConfigError(
                f"the tokenizer has {tokenizer.get_vocab_size()} tokens, the encoder "
                f"{self._vocab_size}: take the encoder's own"
            )
        tokenizer.no_padding()
        tokenizer.enable_truncation(self._max_tokens)
        self._tokenizer = tokenizer

    def prepared(self, values: Array) -> Array:
        """Return the tokens, int64 (T,), of UTF-8 bytes (N,); an encoder's output stays.

        Raises:
            ConfigError: the branch has no tokenizer.
        """
        if is_encoded(values):
            return values
        text = values.astype(np.uint8).tobytes().decode("utf-8", errors="replace")
        if self._tokens is not None:
            return np.array(hashed_words(text, self._max_tokens, self._vocab_size))
        if self._tokenizer is None:
            raise ConfigError(
                "the text branch has no tokenizer: load the model from a folder, or start from an "
                "encoder that has one"
            )
        return np.array(self._tokenizer.encode(text).ids, np.int64)

    def forward(
        self, values: Tensor, lengths: Tensor, *, dtype: torch.dtype | None = None
    ) -> BranchOutput:
        """Encode B clips.

        Args:
            values: int64 (B, T) tokens, or float32 (B, 1, D), the encoder's output.
            lengths: int64 (B,), tokens of each clip, one or more.
            dtype: type in which the encoder computes (autocast).
        """
        vector = values[:, 0] if is_encoded(values) else self._vector(values, lengths, dtype)
        vector = self.dropout(vector)
        return BranchOutput(vector[:, None], torch.ones_like(lengths), vector)

    @property
    def settings(self) -> dict[str, Any]:
        """All but weights that decides the encoder's output for a clip, for its hash."""
        tokenizer = self._tokens or (self._tokenizer.to_str() if self._tokenizer else None)
        return {
            "encoder": self._arguments,
            "pooling": self._pooling,
            "max_tokens": self._max_tokens,
            "tokenizer": tokenizer,
        }

    @torch.inference_mode()
    def encode(self, clips: Sequence[Array]) -> list[Floats]:
        """Return the vector (1, D) of each transcript."""
        tokens = [self.prepared(text) for text in clips]
        device = next(self.parameters()).device
        found: dict[int, Floats] = {}
        for batch in plan_batches(list(map(len, tokens)), TOKENS_AT_ONCE):
            values, lengths = pad([tokens[index] for index in batch])
            vectors = self._vector(values.to(device), lengths.to(device), None)
            found |= zip(batch, vectors[:, None].cpu().numpy(), strict=True)
        return [found[index] for index in range(len(clips))]

    def _vector(self, tokens: Tensor, lengths: Tensor, dtype: torch.dtype | None) -> Tensor:
        mask = frame_mask(lengths, tokens.shape[1])
        # zeros behind a clip's end are a token of their own in some vocabularies
        tokens = tokens.masked_fill(~mask, self._pad)
        with self.gradients(), torch.autocast(tokens.device.type, dtype, enabled=dtype is not None):
            states = last_states(self.encoder(input_ids=tokens, attention_mask=mask.long()))
        states = states.float()
        return states[:, 0] if self._pooling == "cls" else masked_mean(states, lengths)
