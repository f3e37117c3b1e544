"""Media files decoded in threads ahead of the model: the whole job on one machine, at its simplest.

Only to measure what a GPU machine can do without Ray, on files that you trust: `emi process`
decodes files from others, in a sandbox.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emi_model.audio.waveform import Int16Waveform
from emi_model.errors import ConfigError, CorpusError
from emi_model.predict import Predictor
from emi_model.speed.flops import FlopCounter
from emi_model.speed.throughput import CLIPS_PER_CALL, OnProgress, Throughput
from emi_model.units import SAMPLING_RATE, samples_to_seconds

BLOCKS_AHEAD = 3
"""Blocks of clips that may be decoded before the model is ready for them."""


@dataclass(frozen=True)
class FilesIn(Throughput):
    """The throughput from media files to scores.

    Attributes:
        num_failed: files that could not be decoded or scored; not among the clips.
        model_seconds: spent in the predictor, s; the rest is waiting for decoders.
        decoders: threads that decoded.
    """

    num_failed: int
    model_seconds: float
    decoders: int

    @property
    def busy_share(self) -> float:
        """Share of the time that the model was computing, [0, 1]."""
        return self.model_seconds / self.seconds


def find_media(folder: Path) -> list[Path]:
    """Return the files of a folder, at any depth, by name.

    Raises:
        CorpusError: there is none.
    """
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    if not found:
        raise CorpusError(f"{folder}: found no file, expected a folder of media files")
    return found


def check_decoder() -> None:
    """Check that files can be decoded.

    Raises:
        ConfigError: PyAV is not installed.
    """
    try:
        import av  # noqa: F401 - the model itself does not need it
    except ImportError as error:
        raise ConfigError(f"files are decoded by PyAV ({error}): pip install av") from error


def decode_media(path: Path, max_samples: int) -> Int16Waveform | None:
    """Return the beginning of a file's first audio track, int16 (samples,), 16 kHz mono.

    None if nothing can be decoded.
    """
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLING_RATE)
    pieces: list[Int16Waveform] = []
    num_samples = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return None
            for frame in itertools.chain(container.decode(container.streams.audio[0]), [None]):
                for piece in resampler.resample(frame):
                    pieces.append(np.asarray(piece.to_ndarray(), np.int16).reshape(-1))
                    num_samples += piece.samples
                if num_samples >= max_samples:
                    break
    except (av.error.FFmpegError, ValueError):
        return None
    return np.concatenate(pieces)[:max_samples] if pieces else None


def measure_files(
    predictor: Predictor,
    paths: Sequence[Path],
    decoders: int,
    *,
    clips_per_call: int = CLIPS_PER_CALL,
    on_progress: OnProgress | None = None,
) -> FilesIn:
    """Decode and score files: their first 12 s, which the model takes at once.

    Args:
        predictor: the model; call it once before, to leave its first call out.
        paths: media files.
        decoders: threads that decode.
        clips_per_call: clips that the predictor gets at once.
        on_progress: called with the files done and their total after every block.

    Raises:
        CorpusError: no file could be scored.
        OutOfMemory: a clip does not fit into memory.
    """
    max_samples = predictor.model.config.window_samples
    flops_of = FlopCounter(predictor.model.config)
    num_clips = num_samples = flops = num_done = 0
    model_seconds, started = 0.0, time.perf_counter()
    waveforms = _decoded(paths, max_samples, decoders, BLOCKS_AHEAD * clips_per_call)
    while block := list(itertools.islice(waveforms, clips_per_call)):
        whole = [each for each in block if each is not None and len(each) >= predictor.min_samples]
        begun = time.perf_counter()
        for scores in predictor(whole) if whole else []:
            if isinstance(scores, Exception):
                raise scores
        model_seconds += time.perf_counter() - begun
        num_done += len(block)
        num_clips += len(whole)
        num_samples += sum(map(len, whole))
        flops += sum(flops_of(len(waveform)).total for waveform in whole)
        if on_progress is not None:
            on_progress(num_done, len(paths))
    took = time.perf_counter() - started
    if not num_clips:
        raise CorpusError(f"found {len(paths)} files, none of them with audio that can be decoded")
    return FilesIn(
        num_clips=num_clips,
        audio_seconds=samples_to_seconds(num_samples),
        seconds=took,
        flops=flops,
        num_failed=len(paths) - num_clips,
        model_seconds=model_seconds,
        decoders=decoders,
    )


def _decoded(
    paths: Sequence[Path], max_samples: int, decoders: int, ahead: int
) -> Iterator[Int16Waveform | None]:
    """Yield the waveforms of files in their order, up to ``ahead`` of them decoded in advance."""
    waiting: deque[Future[Int16Waveform | None]] = deque()
    left = iter(paths)
    pool = ThreadPoolExecutor(decoders, thread_name_prefix="decoder")
    try:
        for path in itertools.islice(left, ahead):
            waiting.append(pool.submit(decode_media, path, max_samples))
        while waiting:
            yield waiting.popleft().result()
            for path in itertools.islice(left, 1):
                waiting.append(pool.submit(decode_media, path, max_samples))
    finally:
        pool.shutdown(cancel_futures=True)
