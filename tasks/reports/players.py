"""Short players: the scored beginning of a clip as Opus inside the page.

A clip is decoded as `emi process` decodes it, within the same limits, and only if its content is
that which was scored; so a store by somebody else reads no other file of this machine.
"""

from __future__ import annotations

import base64
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import soundfile

from emi_model.errors import ConfigError
from emi_model.units import SAMPLING_RATE
from tasks.corpus.finding import ClipFinder
from tasks.extraction.audio import extract
from tasks.extraction.ffmpeg import find_ffmpeg, run_ffmpeg
from tasks.extraction.headers import Prober
from tasks.extraction.rows import local_file
from tasks.schema.outcomes import Rejection

MAX_PLAYERS = 5
"""Of an emotion."""

SECONDS = 12.0
BITS_A_SECOND = 24_000
"""Speech stays clear, and twelve seconds take 36 kB."""

MAX_SOUND_BYTES = 3_000_000
"""Of all sounds in a page, as they stand in it: the page stays under 5 MB."""

_MAX_ENCODED = 1_000_000
_TIMEOUT_SECONDS = 60.0
_NOT_SCORED = "its file is not the one that was scored"


class Voices:
    """Brings the sound of clips of a corpus as addresses that hold it.

    Attributes:
        num_players: wanted of each emotion.
    """

    def __init__(self, corpus: str, num_players: int) -> None:
        """Take a corpus.

        Raises:
            ConfigError: more players than `MAX_PLAYERS`.
            CorpusError: there is no such folder, file or bucket.
        """
        if not 0 < num_players <= MAX_PLAYERS:
            raise ConfigError(f"found {num_players} players, expected 0 to {MAX_PLAYERS}")
        self.num_players = num_players
        self._finder = ClipFinder(corpus)
        self._open = ExitStack()
        self._prober: Prober | None = None
        self._found: dict[str, str | None] = {}
        self._without: dict[str, str] = {}
        self._bytes = 0

    def __enter__(self) -> Voices:
        """Begin."""
        return self

    def __exit__(self, *_: Any) -> None:
        """End the process that reads headers."""
        self._open.close()

    def sound(self, clip_id: str, content_sha256: str | None) -> str | None:
        """Return a clip's sound as a ``data:`` address; None if it cannot be heard: `notes`.

        Args:
            clip_id: of the clip.
            content_sha256: of the file that was scored.

        Raises:
            CorpusError: the storage of the clip does not answer.
            MediaToolError: there is no usable ffmpeg.
        """
        if clip_id not in self._found:
            self._found[clip_id] = self._sound(clip_id, content_sha256)
        sound = self._found[clip_id]
        if sound is not None and self._bytes + len(sound) > MAX_SOUND_BYTES:
            self._without[clip_id] = "the page would grow too large"
            return None
        self._bytes += len(sound or "")
        return sound

    def notes(self) -> list[str]:
        """Return a sentence for each clip without a player."""
        return [f"No player of {clip}: {why}." for clip, why in self._without.items()]

    def _sound(self, clip_id: str, content_sha256: str | None) -> str | None:
        clip = self._finder.find(clip_id)
        if clip is None or clip.size is None:
            self._without[clip_id] = "it is not in the corpus"
            return None
        with local_file(clip) as local:
            if isinstance(local, Rejection):
                self._without[clip_id] = f"{local.reason}, {local.detail}"
                return None
            if content_sha256 is None or local.content_sha256 != content_sha256:
                self._without[clip_id] = _NOT_SCORED
                return None
            return self._encoded(clip_id, local.path)

    def _encoded(self, clip_id: str, path: Path) -> str | None:
        if self._prober is None:
            self._prober = self._open.enter_context(Prober())
        found = extract(path, max_seconds=SECONDS, prober=self._prober)
        if isinstance(found, Rejection):
            self._without[clip_id] = f"{found.reason}, {found.detail}"
            return None
        with tempfile.TemporaryDirectory(prefix="emi-player-") as folder:
            wave = Path(folder, "sound.wav")
            soundfile.write(wave, found.waveform, SAMPLING_RATE)
            command = [find_ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error"]
            command += ["-protocol_whitelist", "file", "-f", "wav", "-i", f"file:{wave}"]
            command += ["-map_metadata", "-1", "-c:a", "libopus", "-b:a", str(BITS_A_SECOND)]
            command += ["-application", "voip", "-f", "ogg", "pipe:1"]
            done = run_ffmpeg(command, _TIMEOUT_SECONDS, _MAX_ENCODED)
        if done.exit_status != 0 or not done.stdout:
            self._without[clip_id] = "ffmpeg could not encode it"
            return None
        return f"data:audio/ogg;base64,{base64.b64encode(done.stdout).decode('ascii')}"
