"""A small causal language model from scratch: a Llama, and a tokenizer of whole words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

_UNKNOWN, _END = "<unk>", "</s>"


def word_tokenizer(texts: Iterable[str]) -> Any:
    """Return a tokenizer (`transformers.PreTrainedTokenizerFast`) of the words in some texts.

    Words are what blanks and punctuation divide; others become one unknown token.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Whitespace()
    words = {word for text in texts for word, _ in split.pre_tokenize_str(text)}
    vocabulary = {word: number for number, word in enumerate([_UNKNOWN, _END, *sorted(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = split
    made: Any = PreTrainedTokenizerFast  # untyped
    return made(tokenizer_object=tokenizer, unk_token=_UNKNOWN, eos_token=_END, pad_token=_END)


def small_llama(tokenizer: Any, *, size: int = 64, num_layers: int = 2, seed: int = 0) -> Any:
    """Return a `transformers.LlamaForCausalLM` with random weights for a tokenizer.

    Args:
        tokenizer: as `word_tokenizer` returns it.
        size: of a token's vector; a multiple of 16.
        num_layers: of the transformer.
        seed: of the weights.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size,
        intermediate_size=2 * size,
        num_hidden_layers=num_layers,
        num_attention_heads=max(size // 16, 1),
        max_position_embeddings=1024,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def learn_texts(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    *,
    num_steps: int,
    rate: float,
    seed: int,
) -> float:
    """Train a model on texts, 16 a step drawn at random; return the last loss.

    Args:
        model: as `small_llama` returns it.
        tokenizer: its tokenizer.
        texts: whole examples of what it shall be able to write.
        num_steps: of training.
        rate: learning rate at the start; it falls to 0 in a straight line.
        seed: of the draws.
    """
    tokenizer.padding_side = "right"
    generator = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    model.train()
    loss = torch.zeros(())
    for step in range(num_steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - step / num_steps)
        drawn = [f"{texts[place]} {_END}" for place in generator.integers(len(texts), size=16)]
        batch = tokenizer(drawn, padding=True, return_tensors="pt")
        ids, mask = batch["input_ids"], batch["attention_mask"]
        labels = ids.masked_fill(mask == 0, -100)
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()
    return loss.item()
