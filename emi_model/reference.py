"""Model references: what ``--model`` takes, and the check of a VAD model against its reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emi_model.checkpoint import CONFIG_FILE, LoadedModel, load_checkpoint, read_config
from emi_model.config import MODEL_TYPE
from emi_model.errors import CheckpointError, ModelNotFound
from emi_model.layouts import load_vad_model
from emi_model.predict import Predictor
from emi_model.targets import VAD_DIMENSIONS
from emi_model.units import SAMPLING_RATE

HUB_FILES = ["config.json", "*.safetensors", "pytorch_model.bin", "card.json", "README.md"]

ZERO_SIGNAL_VAD = (0.5460754, 0.6062266, 0.40431657)
"""Arousal, dominance, valence of one second of zeros: model card of the public VAD model."""

ZERO_SIGNAL_TOLERANCE = 1e-3


@dataclass(frozen=True)
class BackboneCheck:
    """The zero-signal reference: expected against found, in the order of `VAD_DIMENSIONS`."""

    expected: tuple[float, ...]
    found: tuple[float, ...]

    @property
    def passed(self) -> bool:
        """Whether every dimension agrees within 1e-3."""
        return bool(np.allclose(self.found, self.expected, rtol=0, atol=ZERO_SIGNAL_TOLERANCE))


def load_model(reference: str) -> LoadedModel:
    """Load the model that a reference names.

    Args:
        reference: a folder (checkpoint of this project, or the public VAD model's layout), or the
            id of such a model on the hub, ``owner/name``.

    Raises:
        ModelNotFound: neither a folder nor to be had from the hub.
        CheckpointError: it is there, but not what it says it is.
    """
    folder = resolve(reference)
    name = folder.resolve().name if Path(reference).is_dir() else reference
    if read_config(folder).get("model_type") == MODEL_TYPE:
        return load_checkpoint(folder)
    return load_vad_model(folder, name)


def resolve(reference: str) -> Path:
    """Return the local folder of a model reference, downloading from the hub if it names one.

    Raises:
        ModelNotFound: neither a folder nor to be had from the hub.
    """
    folder = Path(reference)
    if (folder / CONFIG_FILE).is_file():
        return folder
    if folder.exists():
        raise ModelNotFound(f"{reference}: exists, but holds no {CONFIG_FILE}: not a model folder")
    if reference.count("/") != 1 or reference.startswith(("/", ".")):
        raise ModelNotFound(f"{reference}: no such folder, and no hub id of the form owner/name")
    return _download(reference)


def check_backbone(reference: str) -> BackboneCheck:
    """Run the zero-signal reference on a VAD model, head of mean as in the public model.

    Raises:
        CheckpointError: the model has no VAD head.
    """
    predictor = Predictor(load_model(reference).model, precision="fp32")
    (scores,) = predictor([np.zeros(SAMPLING_RATE, np.float32)])
    if isinstance(scores, Exception):
        raise scores
    if scores.vad_of_mean is None:
        raise CheckpointError(f"{reference}: has no VAD head: nothing to check")
    found = tuple(float(value) for value in scores.vad_of_mean)
    return BackboneCheck(expected=ZERO_SIGNAL_VAD[: len(VAD_DIMENSIONS)], found=found)


def _download(reference: str) -> Path:
    # imported here: a local folder should not pay for the hub client
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(reference, allow_patterns=HUB_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        said = str(error).strip().partition("\n")[0]
        raise ModelNotFound(
            f"{reference}: no such folder, and the hub did not give it ({said}): name a local "
            "model folder"
        ) from error
