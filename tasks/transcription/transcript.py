"""What was said in a clip, and its columns in the table ``transcripts``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class SpokenSegment:
    """A stretch of speech that the ASR model gave as one.

    Attributes:
        start_seconds: where it begins in the waveform.
        end_seconds: where it ends.
        text: what was said, stripped.
        no_speech_probability: the model's, that nobody speaks, 0 to 1.
        mean_log_probability: mean over its tokens, 0 or less; below -1 the model is guessing.
    """

    start_seconds: float
    end_seconds: float
    text: str
    no_speech_probability: float
    mean_log_probability: float


@dataclass(frozen=True)
class Transcript:
    """What was said in a clip.

    Attributes:
        language: its code; None where nobody speaks.
        language_probability: of the language, 0 to 1; 1 where it was given. None without one.
        text: of all segments, stripped; empty where nobody speaks.
        segments: in the order of time.
        num_words: words of the text, as blanks divide it.
        speech_seconds: speech that the speech-activity filter found, with up to 0.4 s around each
            stretch.
    """

    language: str | None
    language_probability: float | None
    text: str
    segments: tuple[SpokenSegment, ...]
    num_words: int
    speech_seconds: float

    @property
    def has_speech(self) -> bool:
        """Whether there is a word."""
        return bool(self.text)

    def facts(self) -> dict[str, Any]:
        """Return what is known of it without a word of it."""
        return {
            "language": self.language,
            "language_probability": self.language_probability,
            "num_words": self.num_words,
            "speech_seconds": self.speech_seconds,
        }

    def columns(self, *, keep_text: bool) -> dict[str, Any]:
        """Return its columns of ``transcripts``; without the text, nothing that was said."""
        kept = {} if keep_text else {"text": None}
        return {
            **self.facts(),
            "has_speech": self.has_speech,
            "text": self.text,
            "segments": [asdict(segment) | kept for segment in self.segments],
            **kept,
        }


NO_SPEECH_FOUND = Transcript(None, None, "", (), 0, 0.0)
"""Of a clip in which nobody speaks."""
