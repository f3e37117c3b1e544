"""Measure one model on one device: the plain way, each precision, files decoded in threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from emi_model.architecture.config import WAV2VEC2_LARGE_ROBUST_12, EmiConfig, Precision
from emi_model.architecture.model import EmiModel
from emi_model.errors import ConfigError
from emi_model.lanes import usual_lanes
from emi_model.predict import Predictor
from emi_model.speed.flops import FlopCounter
from emi_model.speed.machine import matrix_peak, this_machine
from emi_model.speed.media_files import check_decoder, find_media, measure_files
from emi_model.speed.noise_clips import MEAN_SECONDS
from emi_model.speed.report import Speed
from emi_model.speed.throughput import CLIPS_PER_CALL, OnProgress, model_alone, plain_way
from emi_model.units import seconds_to_samples

LAYERS, HIDDEN = 12, 1024
"""Of the full-size model, wav2vec2-large-robust cut to 12 layers."""

HEAD_SIZE, GROUPS = 64, 16

PLAIN_SHARE = 0.5
"""The plain way is measured for this share of the time that a precision gets."""

PEAK_SECONDS = 0.7
"""For products of matrices, about; under a second with their first calls."""

OnStage = Callable[[str], OnProgress]
"""Called when a new measurement begins; returns the function that takes its progress."""


def random_model(layers: int = LAYERS, hidden: int = HIDDEN) -> EmiModel:
    """Return a model of wav2vec2-large's shapes with random weights, as fast as trained ones.

    Args:
        layers: of the encoder.
        hidden: width, a multiple of 16; heads, feed-forward and convolutions scale with it.

    Raises:
        ConfigError: no such model.
    """
    if layers < 1 or hidden < GROUPS or hidden % GROUPS:
        raise ConfigError(
            f"found {layers} layers of width {hidden}, expected 1 or more, and a multiple of "
            f"{GROUPS}"
        )
    shapes = {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": hidden // HEAD_SIZE if hidden % HEAD_SIZE == 0 else 1,
        "intermediate_size": 4 * hidden,
        "conv_dim": [hidden // 2] * len(WAV2VEC2_LARGE_ROBUST_12["conv_dim"]),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return EmiModel(EmiConfig({**WAV2VEC2_LARGE_ROBUST_12, **shapes})).eval()


def measure(
    model: EmiModel,
    name: str,
    precisions: Sequence[Precision],
    *,
    seconds: float,
    device: str | None = None,
    plain: bool = True,
    clips_per_call: int = CLIPS_PER_CALL,
    media: Path | None = None,
    decoders: int | None = None,
    on_stage: OnStage | None = None,
) -> Speed:
    """Measure a model on a device.

    Args:
        model: the model.
        name: of the model in the report.
        precisions: to measure, one after the other.
        seconds: for each precision, about.
        device: ``cpu``, ``cuda`` or ``cuda:N``; default: CUDA if available.
        plain: measure the plain way too.
        clips_per_call: clips that the predictor gets at once.
        media: folder of media files, to be scored in the last of the precisions.
        decoders: threads that decode them; default: one a core.
        on_stage: called when a new measurement begins.

    Raises:
        ConfigError: no such device, or PyAV is missing.
        CorpusError: a folder without media files.
        OutOfMemory: a clip does not fit into memory.
    """
    where = checked_device(device)
    paths = []
    if media is not None:
        check_decoder()
        paths = find_media(media)
    begin = on_stage or (lambda _: lambda _done, _total: None)
    typical = FlopCounter(model.config)(seconds_to_samples(MEAN_SECONDS)).total / MEAN_SECONDS
    weights = sum(weight.numel() for weight in model.parameters())
    speed = Speed(this_machine(where), name, weights, typical / 1e9)
    model.to(where).eval()
    if plain:
        report = begin("plain way")
        speed.plain = plain_way(model, where, PLAIN_SHARE * seconds, on_progress=report)
    for precision in precisions:
        predictor = Predictor(model, precision=precision, device=str(where))
        predictor.lanes = usual_lanes(where)
        if predictor.numerics not in speed.peaks:
            begin(f"products of matrices, {predictor.numerics}")
            speed.peaks[predictor.numerics] = matrix_peak(where, predictor.numerics, PEAK_SECONDS)
        speed.alone[precision] = model_alone(
            predictor,
            seconds,
            clips_per_call=clips_per_call,
            on_progress=begin(f"model alone, {precision}"),
        )
    if paths:
        threads = decoders or speed.machine.cores
        speed.files = measure_files(
            predictor, paths, threads, clips_per_call=clips_per_call, on_progress=begin("files")
        )
    return speed


def checked_device(device: str | None) -> torch.device:
    """Return the device of a name; default: CUDA if available.

    Raises:
        ConfigError: there is no such device here.
    """
    found = device or ("cuda" if torch.cuda.is_available() else "cpu")
    cause = "of another kind"
    try:
        if torch.empty(0, device=found).device.type in ("cpu", "cuda"):
            return torch.device(found)
    except (RuntimeError, AssertionError) as error:
        cause = str(error).strip().partition("\n")[0]
    raise ConfigError(
        f"device is {device!r}, expected cpu, cuda or cuda:N of this machine: {cause}"
    )
