"""All checks, one after the other; one that breaks is a row, and the next ones run all the same.

1. `exactness`: float32 on the card gives what the CPU gives, in a batch what it gives alone.
2. `drift`: bfloat16 stays near float32.
3. `memory`: batches that do not fit are halved, one clip that does not fit is refused alone.
4. `speed`: the model alone, against the fastest product of matrices.
5. `training`: losses as on the CPU; seconds and memory of a step.
6. `second process`: two on one card do not disturb each other.
7. `modalities`: models that read and see, each fusion, on clips with any subset of modalities.
8. `modalities, speed`: such a model alone, with each modality that is added.
9. `modalities, training`: a step of it.
10. `families`: small backbones of each family of audio models.

What only a card can show is said to be ``not here`` on a CPU, never passed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from types import MappingProxyType

import torch
import transformers

from emi_model.speed.gpu.beside import second_process
from emi_model.speed.gpu.families import families
from emi_model.speed.gpu.memory import want_of_memory
from emi_model.speed.gpu.modalities import any_subset, rates_by_modality, steps_of_several
from emi_model.speed.gpu.rates import measured_rates
from emi_model.speed.gpu.rows import CheckRow, figure, guarded
from emi_model.speed.gpu.scores import drift, exactness
from emi_model.speed.gpu.stage import Stage
from emi_model.speed.gpu.training import training
from emi_model.speed.machine import this_machine

Section = Callable[[Stage], Iterable[CheckRow]]

SECTIONS: MappingProxyType[str, Section] = MappingProxyType(
    {
        "exactness": exactness,
        "drift": drift,
        "memory": want_of_memory,
        "speed": measured_rates,
        "training": training,
        "second process": second_process,
        "modalities": any_subset,
        "modalities, speed": rates_by_modality,
        "modalities, training": steps_of_several,
        "families": families,
    }
)


def run_checks(
    stage: Stage,
    names: Sequence[str] = tuple(SECTIONS),
    on_row: Callable[[CheckRow], None] | None = None,
) -> list[CheckRow]:
    """Return the rows of some sections, all by default.

    Args:
        stage: where, and how large.
        names: of the sections.
        on_row: called with each row as it is found.
    """
    rows = []
    for row in _rows(stage, names):
        rows.append(row)
        if on_row is not None:
            on_row(row)
    return rows


def _rows(stage: Stage, names: Sequence[str]) -> Iterator[CheckRow]:
    machine = this_machine(stage.device)
    parts = (machine.gpu, machine.processor, f"{machine.cores} cores", f"PyTorch {machine.torch}")
    libraries = f"transformers {transformers.__version__}"
    yield figure("machine", ", ".join(part for part in (*parts, libraries) if part))
    started = time.perf_counter()
    for name in names:
        yield from guarded(name, partial(SECTIONS[name], stage))
        if stage.on_gpu:
            torch.cuda.empty_cache()
    yield figure("all of it", f"{time.perf_counter() - started:.0f} s")
