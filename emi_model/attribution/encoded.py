"""Variants of a clip's inputs, each encoded once, and the scores of any choice of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from emi_model.architecture.branch import Branch, BranchOutput, collate
from emi_model.architecture.model import EmiModel
from emi_model.arrays import Array, Doubles
from emi_model.attribution.choices import LEFT_OUT, Choice
from emi_model.audio.batching import plan_batches
from emi_model.errors import OutOfMemory
from emi_model.modalities import size_of
from emi_model.predict import is_out_of_memory

_Item = TypeVar("_Item")
_Given = TypeVar("_Given")


class Encoded(NamedTuple):
    """What a branch makes of K variants.

    Attributes:
        features: (K, F, D), arbitrary after a variant's end.
        num_frames: int64 (K,).
        vector: (K, D); None: the mean over the frames is used.
    """

    features: Tensor
    num_frames: Tensor
    vector: Tensor | None

    def chosen(self, numbers: Sequence[int]) -> BranchOutput | None:
        """Return the output for a batch of which each clip has one variant, or lacks it."""
        rows = [row for row, number in enumerate(numbers) if number != LEFT_OUT]
        if not rows:
            return None
        device = self.features.device
        picked = torch.tensor([numbers[row] for row in rows], device=device)
        return BranchOutput(
            self.features[picked],
            self.num_frames[picked],
            None if self.vector is None else self.vector[picked],
            rows=None if len(rows) == len(numbers) else torch.tensor(rows, device=device),
        )


def encode_variants(
    modality: str, branch: Branch, variants: Sequence[Array], device: torch.device, most: int
) -> Encoded:
    """Encode variants of one clip's input, in float32.

    Args:
        modality: that of the branch.
        branch: in evaluation mode.
        variants: as an extractor, or an encoder, gives them.
        device: of the branch.
        most: samples at 16 kHz that pass it at once.

    Raises:
        OutOfMemory: one variant alone does not fit.
    """
    sizes = [size_of({modality: values}) for values in variants]

    def encode(numbers: Sequence[int]) -> list[BranchOutput]:
        clips = [{modality: branch.spec.prepare(variants[number])} for number in numbers]
        return [branch(*collate(clips, [modality])[modality].to(device))]

    found, order = [], []
    for batch in plan_batches(sizes, most, equal_lengths=branch.needs_equal_lengths):
        found += in_parts(encode, batch)
        order += batch
    longest = max(output.features.shape[1] for output in found)
    places = torch.tensor(order, device=device).argsort()
    features = [
        functional.pad(output.features, (0, 0, 0, longest - output.features.shape[1]))
        for output in found
    ]
    vectors = [output.vector for output in found if output.vector is not None]
    return Encoded(
        torch.cat(features)[places],
        torch.cat([output.num_frames for output in found])[places],
        torch.cat(vectors)[places] if vectors else None,
    )


def scores_of_choices(
    model: EmiModel, encodings: Mapping[str, Encoded], choices: Sequence[Choice], at_once: int
) -> Doubles:
    """Return the scores (N, targets) of a clip whose modalities are as each choice says.

    Args:
        model: in evaluation mode.
        encodings: of the clip's modalities.
        choices: a variant of each, or `LEFT_OUT`.
        at_once: choices that pass the fusion at once.

    Raises:
        OutOfMemory: one choice alone does not fit.
    """

    def fuse(some: Sequence[Choice]) -> list[Tensor]:
        outputs = {
            name: output
            for name, encoding in encodings.items()
            if (output := encoding.chosen([choice[name] for choice in some])) is not None
        }
        emi = model.fused(outputs, len(some)).emi
        assert emi is not None, "a model of VAD alone is refused at the start"
        return [emi.double().cpu()]

    parts = [choices[start : start + at_once] for start in range(0, len(choices), at_once)]
    found: Doubles = torch.cat([one for part in parts for one in in_parts(fuse, part)]).numpy()
    return found


def in_parts(
    run: Callable[[Sequence[_Item]], list[_Given]], items: Sequence[_Item]
) -> list[_Given]:
    """Return what a function makes of some items; where memory does not suffice, of each half.

    Raises:
        OutOfMemory: one item alone does not fit.
    """
    try:
        return run(items)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        message = str(error).strip().partition("\n")[0]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(items) == 1:
        raise OutOfMemory(message or "no memory for one clip alone")
    half = len(items) // 2
    return in_parts(run, items[:half]) + in_parts(run, items[half:])
