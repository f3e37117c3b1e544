"""A causal language model from `transformers`: greedy, offline once there, no remote code."""

from __future__ import annotations

from typing import Any

import torch
from safetensors import SafetensorError

from emi_model.checkpoints.layouts.hub_folder import quiet_transformers
from emi_model.checkpoints.metadata import read_config
from emi_model.checkpoints.resolve import name_of
from emi_model.errors import CheckpointError
from emi_model.language.folders import language_folder, language_sha256

MAX_NEW_TOKENS = 192


class CausalWriter:
    """A language model that goes on with a text, taking the likeliest token each time.

    Attributes:
        name: its folder's, or the hub id.
        sha256: over its config, tokenizer and weights, hex.
    """

    def __init__(
        self,
        reference: str,
        *,
        device: str | None = None,
        max_new_tokens: int = MAX_NEW_TOKENS,
    ) -> None:
        """Load the model, in the arithmetic that its config names.

        Args:
            reference: a folder, or a hub id that is downloaded once.
            device: default: CUDA if there is one.
            max_new_tokens: that it writes at most.

        Raises:
            ModelNotFound: neither a folder nor available from the hub.
            CheckpointError: the folder holds no causal language model that runs without code of
                its own, or no tokenizer.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

        folder = language_folder(reference)
        read_config(folder)
        self.name = name_of(reference, folder)
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            with quiet_transformers():
                model: Any = AutoModelForCausalLM.from_pretrained(
                    folder, dtype="auto", use_safetensors=True, **local
                )
                self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **local)
        except (
            *(OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError),
            SafetensorError,
        ) as error:
            line = str(error).strip().partition("\n")[0]
            raise CheckpointError(
                f"{reference}: cannot be loaded as a causal language model ({line}): give --llm a "
                "folder with config.json, a tokenizer and model.safetensors"
            ) from error
        self.sha256 = language_sha256(folder)
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._model: Any = model.to(self._device).eval()
        ends = self._model.generation_config.eos_token_id or self._tokenizer.eos_token_id
        pad = self._tokenizer.pad_token_id
        first_end = ends[0] if isinstance(ends, list) else ends
        settings: Any = GenerationConfig  # untyped
        self._model.generation_config = settings(
            do_sample=False,
            num_beams=1,
            eos_token_id=ends,
            pad_token_id=pad if pad is not None else first_end or 0,
        )
        longest = getattr(self._model.config, "max_position_embeddings", None)
        self._max_new_tokens = max_new_tokens
        self._most_tokens = max((longest or 1 << 30) - max_new_tokens, 1)

    @torch.inference_mode()
    def __call__(self, prompt: str) -> str:
        """Return what the model writes after a prompt.

        A model with a chat template gets the prompt as the user's message. Of a prompt that is
        longer than the model's context its end is used.
        """
        text: str = prompt
        if self._tokenizer.chat_template:
            text = self._tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}],
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=False,
            )
        is_chat = bool(self._tokenizer.chat_template)
        tokens = self._tokenizer(text, add_special_tokens=not is_chat)["input_ids"]
        tokens = tokens[-self._most_tokens :]
        given = torch.tensor([tokens], device=self._device)
        made = self._model.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=self._max_new_tokens,
        )
        found: str = self._tokenizer.decode(made[0, len(tokens) :], skip_special_tokens=True)
        return found.strip()
