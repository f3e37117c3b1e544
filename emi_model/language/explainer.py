"""A causal language model that reads vectors of modalities as tokens, one each.

The form is that of Emotion-LLaMA (arXiv 2406.11161): every modality's vector of a clip goes through
a linear layer of its own to the width of the model's tokens, and stands between the marks
``<feature>`` and ``</feature>`` of the prompt. A modality that a clip lacks has a learnt token, not
zeros; answers are greedy, and a clip's is the same alone or in a batch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from emi_model.errors import CheckpointError
from emi_model.language.instructions import BEFORE, Instruction
from emi_model.language.lora import lora_from

_SETTINGS_FILE, _PROJECTIONS_FILE, _ADAPTER = "explainer.json", "projections.safetensors", "adapter"
_NO_LOSS = -100
"""Label of a token that the model is not asked to write, as `transformers` has it."""


class _Sequence(NamedTuple):
    """A clip's tokens: vectors (L, H), and the labels (L,) of those to be written."""

    vectors: Tensor
    labels: Tensor


class Explainer(nn.Module):
    """A language model with a linear layer a modality.

    Attributes:
        sizes: length of each modality's vector.
        language: the model, adapted by `emi_model.language.lora.with_lora` or not.
        tokenizer: its tokenizer.
    """

    def __init__(self, language: Any, tokenizer: Any, sizes: Mapping[str, int]) -> None:
        """Add the layers, at random, to a causal language model of `transformers`."""
        super().__init__()
        self.sizes, self.language, self.tokenizer = dict(sizes), language, tokenizer
        embedding = language.get_input_embeddings()
        width, scale = embedding.embedding_dim, float(embedding.weight.detach().std())
        self.projections = nn.ModuleDict({name: nn.Linear(d, width) for name, d in sizes.items()})
        self.absent = nn.ParameterDict(
            {name: nn.Parameter(torch.randn(width) * scale) for name in sizes}
        )

    def forward(self, instructions: Sequence[Instruction]) -> Tensor:
        """Return the mean cross-entropy (a scalar) of the answers' tokens and of their ends."""
        found = [self._sequence(one, with_answer=True) for one in instructions]
        vectors, mask = _padded([one.vectors for one in found], left=False)
        labels = nn.utils.rnn.pad_sequence(
            [one.labels for one in found], batch_first=True, padding_value=_NO_LOSS
        )
        loss: Tensor = self.language(
            inputs_embeds=vectors, attention_mask=mask, labels=labels, use_cache=False
        ).loss
        return loss

    @torch.inference_mode()
    def answers(
        self, instructions: Sequence[Instruction], *, max_new_tokens: int = 32
    ) -> list[str]:
        """Return what the model writes for each, the likeliest token each time."""
        was_training = self.training
        self.eval()
        found = [self._sequence(one, with_answer=False).vectors for one in instructions]
        vectors, mask = _padded(found, left=True)
        written = self.language.generate(
            inputs_embeds=vectors,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        self.train(was_training)
        texts: list[str] = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def save(self, folder: Path) -> None:
        """Write the linear layers and the adapter; the language model's own weights stay out."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            name: value.contiguous()
            for name, value in self.state_dict().items()
            if not name.startswith("language.")
        }
        save_file(state, folder / _PROJECTIONS_FILE)
        self.language.save_pretrained(folder / _ADAPTER)
        (folder / _SETTINGS_FILE).write_text(json.dumps({"sizes": self.sizes}), encoding="utf-8")

    def _sequence(self, one: Instruction, *, with_answer: bool) -> _Sequence:
        parts = [self._embedded(BEFORE), self._features(one), self._embedded(one.after)]
        asked = torch.cat(parts)
        labels = torch.full((len(asked),), _NO_LOSS, device=asked.device)
        if not with_answer:
            return _Sequence(asked, labels)
        tokens = self._tokens(one.answer, end=True)
        embedded = self.language.get_input_embeddings()(tokens)
        return _Sequence(torch.cat([asked, embedded]), torch.cat([labels, tokens]))

    def _features(self, one: Instruction) -> Tensor:
        """Return (modalities, H): a token each, in the order of the sizes and the model's dtype."""
        weight = next(self.projections.parameters())
        found = torch.stack(
            [
                self.projections[name](torch.as_tensor(one.vectors[name]).to(weight))
                if name in one.vectors
                else self.absent[name]
                for name in self.sizes
            ]
        )
        return found.to(self.language.get_input_embeddings().weight.dtype)

    def _embedded(self, text: str) -> Tensor:
        found: Tensor = self.language.get_input_embeddings()(self._tokens(text))
        return found

    def _tokens(self, text: str, *, end: bool = False) -> Tensor:
        tokens = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        ended = [*tokens, self.tokenizer.eos_token_id] if end else tokens
        return torch.tensor(ended, device=next(self.projections.parameters()).device)


def load_explainer(folder: Path, language: Any, tokenizer: Any) -> Explainer:
    """Return the explainer that `Explainer.save` wrote.

    Args:
        folder: that it was written to.
        language: the language model that was adapted, as it was before.
        tokenizer: its tokenizer.

    Raises:
        CheckpointError: a file is missing, or is of another language model.
        ConfigError: peft is not installed.
    """
    try:
        sizes = json.loads((folder / _SETTINGS_FILE).read_text(encoding="utf-8"))["sizes"]
        found = Explainer(lora_from(language, folder / _ADAPTER), tokenizer, sizes)
        state = load_file(folder / _PROJECTIONS_FILE)
        lacking = found.load_state_dict(state, strict=False)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        line = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{folder}: found no explainer of this model: {line}") from error
    wrong = [name for name in lacking.missing_keys if not name.startswith("language.")]
    if wrong:
        raise CheckpointError(f"{folder}: found no {', '.join(wrong)}: restore the folder")
    return found.eval()


def _padded(sequences: Sequence[Tensor], *, left: bool) -> tuple[Tensor, Tensor]:
    """Return vectors (B, L, H) and mask (B, L) of sequences (l, H), padded on one side."""
    side = "left" if left else "right"
    vectors = nn.utils.rnn.pad_sequence([*sequences], batch_first=True, padding_side=side)
    ones = [torch.ones(len(one), dtype=torch.long, device=one.device) for one in sequences]
    return vectors, nn.utils.rnn.pad_sequence(ones, batch_first=True, padding_side=side)
