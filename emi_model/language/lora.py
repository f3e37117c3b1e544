"""Low-rank adaptation of a causal language model (Hu et al. 2021, arXiv 2106.09685), by `peft`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emi_model.errors import ConfigError

RANK, ALPHA, DROPOUT = 64, 16, 0.05
"""Of Emotion-LLaMA's published code."""

ADAPTED = ("q_proj", "v_proj")

_MISSING = (
    "found no peft, which adapts language models: install it with "
    "pip install 'emi-workflow[language]'"
)


def with_lora(model: Any, *, rank: int = RANK, alpha: int = ALPHA, dropout: float = DROPOUT) -> Any:
    """Return a model whose own weights are frozen, with trained matrices beside its attention's.

    Args:
        model: a causal language model of `transformers` with layers ``q_proj`` and ``v_proj``.
        rank: of the matrices.
        alpha: their product is multiplied by ``alpha / rank``.
        dropout: before them, while they are trained.

    Raises:
        ConfigError: peft is not installed, or the model has no such layers.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ConfigError(_MISSING) from error
    settings = LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=list(ADAPTED),
    )
    try:
        with _without_its_own_warning():
            return get_peft_model(model, settings)
    except ValueError as error:
        line = str(error).partition("\n")[0]
        raise ConfigError(
            f"found a language model without {' and '.join(ADAPTED)} ({line}): choose a Llama, "
            "Mistral or Qwen"
        ) from error


def lora_from(model: Any, folder: Path) -> Any:
    """Return a model with the adapter that its ``save_pretrained`` wrote into a folder.

    Raises:
        ConfigError: peft is not installed.
    """
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ConfigError(_MISSING) from error
    with _without_its_own_warning():
        return PeftModel.from_pretrained(model, str(folder), local_files_only=True)


@contextmanager
def _without_its_own_warning() -> Iterator[None]:
    """Hide that peft 0.21 asks for an attribute by the name that transformers 5 will drop."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        yield
