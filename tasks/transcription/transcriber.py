"""The engine: faster-whisper behind its speech-activity filter.

A Whisper model writes something for any sound: for silence "You", for a tone the same word sixty
times. So only stretches that the speech-activity filter (Silero) takes for speech reach it, and a
segment is dropped where the model itself says that nobody speaks, guesses, or repeats itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from queue import SimpleQueue
from typing import Any

import numpy as np

from emi_model.audio.waveform import Int16Waveform
from emi_model.errors import ConfigError
from emi_model.units import SAMPLING_RATE, samples_to_seconds
from tasks.threads import map_in_threads
from tasks.transcription.asr_models import asr_folder, load_whisper
from tasks.transcription.conversion import WEIGHTS
from tasks.transcription.rounds import RoundsOfQuestions
from tasks.transcription.settings import AsrSettings
from tasks.transcription.transcript import NO_SPEECH_FOUND, SpokenSegment, Transcript

MAX_COMPRESSION = 2.4
"""Text that gzip makes so many times smaller is one phrase again and again: Whisper's own bound."""

NO_SPEECH_BOUND, LOG_PROBABILITY_BOUND = 0.6, -0.7
"""A stretch is not speech if the model's probability of that is higher, and its tokens' mean log
probability lower. Whisper's own bounds are 0.6 and -1, with which a cartoon's animal says words."""

FAILED_LOG_PROBABILITY = -1.0
"""Below this mean the decoding failed, by Whisper's own rule, which tries again at random: what
was guessed of speech that plays backwards lies there, clear speech at -0.4 and higher."""


AT_ONCE = {"cpu": 4, "cuda": 8}
"""Waveforms of one batch. Four on a CPU, tiny.en: 12 % less time than one after the other; eight
take as long as four."""

_WEIGHTS_AT_ONCE = 512 * 2**20
"""Bytes of a model's weights times the waveforms of one batch on a CPU: what a decoder keeps of a
waveform grows with its model, and a laptop has no memory for four of a large one."""


_Heard = Transcript | RuntimeError


class Transcriber:
    """Turns waveforms into transcripts with one ASR model.

    Greedy or with a beam, at temperature 0; no window sees the text of the one before it, so a
    mistake does not go on.

    Attributes:
        settings: with which it was made.
    """

    def __init__(
        self, settings: AsrSettings, *, threads: int, device: str = "auto", lanes: int = 1
    ) -> None:
        """Load the model.

        Args:
            settings: which model, and how.
            threads: of the CPU; the speech-activity filter takes one a lane.
            device: ``cpu``, ``cuda``, or ``auto``: the GPU where there is one.
            lanes: of a CPU: its threads are divided among so many, which work on waveforms of
                their own; fewer, where there are fewer threads or the model is large.

        Raises:
            ConfigError: faster-whisper is not installed, the language is unknown to the model, or
                there is no such device.
            CheckpointError: there is no such model, or it is no Whisper model.
        """
        self.settings = settings
        folder = asr_folder(settings.model)
        most = max(1, _WEIGHTS_AT_ONCE // (folder / WEIGHTS).stat().st_size)
        lanes = min(lanes, threads, most)
        whisper = load_whisper(folder, threads=threads // lanes, device=device, workers=lanes)
        on_gpu = whisper.model.device != "cpu"
        lanes = 1 if on_gpu else lanes
        self._at_once = AT_ONCE["cuda"] if on_gpu else max(1, min(AT_ONCE["cpu"], most // lanes))
        self._lanes = [_Lane(whisper, settings) for _ in range(lanes)]
        spoken = whisper.supported_languages
        if settings.language is not None and settings.language not in spoken:
            some = ", ".join(spoken[:8]) + (", ..." if len(spoken) > 8 else "")
            raise ConfigError(
                f"{settings.model}: found language {settings.language!r}, this model knows {some}: "
                "choose one of them, or another --asr"
            )

    def __call__(self, waveform: Int16Waveform) -> Transcript:
        """Return what is said.

        Args:
            waveform: int16 (samples,), 16 kHz mono.

        Raises:
            RuntimeError: of CTranslate2, as when a GPU has not enough memory.
        """
        (found,) = self.all_of([waveform])
        if isinstance(found, RuntimeError):
            raise found
        return found

    def all_of(self, waveforms: Sequence[Int16Waveform]) -> list[_Heard]:
        """Return what is said in each, or why that failed; the same as of each alone."""
        starts = range(0, len(waveforms), self._at_once)
        batches = [waveforms[start : start + self._at_once] for start in starts]
        free = SimpleQueue[_Lane]()
        for lane in self._lanes:
            free.put(lane)

        @contextmanager
        def in_a_lane() -> Iterator[Callable[[Sequence[Int16Waveform]], list[_Heard]]]:
            lane = free.get()
            yield lane.all_of

        made = map_in_threads(batches, in_a_lane, threads=len(self._lanes))
        return [one for batch in made for one in batch]


class _Lane:
    """One of those that share a model, with waveforms and questions to the model of its own."""

    def __init__(self, whisper: Any, settings: AsrSettings) -> None:
        self._whisper, self._settings = copy(whisper), settings
        self._rounds = self._whisper.model = RoundsOfQuestions(whisper.model)

    def all_of(self, waveforms: Sequence[Int16Waveform]) -> list[_Heard]:
        """Return what is said in each, all at the same time."""
        return self._rounds.work(self._tried, waveforms)

    def _tried(self, waveform: Int16Waveform) -> _Heard:
        try:
            return self._transcript(waveform)
        except RuntimeError as error:
            return error

    def _transcript(self, waveform: Int16Waveform) -> Transcript:
        from faster_whisper.transcribe import restore_speech_timestamps
        from faster_whisper.vad import collect_chunks, get_speech_timestamps

        samples = waveform.astype(np.float32) / 2**15
        stretches = get_speech_timestamps(samples) if len(samples) else []
        if not stretches:
            return NO_SPEECH_FOUND
        speech = np.concatenate(collect_chunks(samples, stretches)[0])
        found, info = self._whisper.transcribe(
            speech,
            language=self._settings.language,
            beam_size=self._settings.beam_size,
            temperature=0.0,
            condition_on_previous_text=False,
            no_speech_threshold=NO_SPEECH_BOUND,
            log_prob_threshold=LOG_PROBABILITY_BOUND,
        )
        segments = [
            _segment(one)
            for one in restore_speech_timestamps(found, stretches, SAMPLING_RATE)
            if is_transcribed(one)
        ]
        text = " ".join(segment.text for segment in segments)
        return Transcript(
            language=info.language if text else None,
            language_probability=float(info.language_probability) if text else None,
            text=text,
            segments=tuple(segments),
            num_words=len(text.split()),
            speech_seconds=samples_to_seconds(len(speech)),
        )


def is_transcribed(found: Any) -> bool:
    """Return whether a segment of faster-whisper is what was said, not a loop or a guess."""
    return bool(
        found.text.strip()
        and found.compression_ratio <= MAX_COMPRESSION
        and found.avg_logprob >= FAILED_LOG_PROBABILITY
    )


def _segment(found: Any) -> SpokenSegment:
    return SpokenSegment(
        start_seconds=float(found.start),
        end_seconds=float(found.end),
        text=found.text.strip(),
        no_speech_probability=float(found.no_speech_prob),
        mean_log_probability=float(found.avg_logprob),
    )
