"""Evidence becomes a text: the template's, or what a language model wrote and the facts support."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tasks.explaining.evidence import Evidence
from tasks.explaining.prompt import prompt_of
from tasks.explaining.support import SupportChecker
from tasks.explaining.template import template_sentences

MOST_SENTENCES = 3

WrittenBy = Literal["template", "language_model"]


@dataclass(frozen=True)
class Explanation:
    """The text about one clip.

    Attributes:
        sentences: two or three, fewer where little was measured or written.
        writer: who wrote them.
        num_written: sentences that the language model wrote; 0 without one.
        num_dropped: of these, how many were not supported by the evidence.
    """

    sentences: tuple[str, ...]
    writer: WrittenBy
    num_written: int = 0
    num_dropped: int = 0

    @property
    def text(self) -> str:
        """The sentences as one text."""
        return " ".join(self.sentences)


def explained(evidence: Evidence, write: Callable[[str], str] | None = None) -> Explanation:
    """Return the text about a clip.

    Args:
        evidence: of the clip.
        write: a language model; its sentences that the evidence does not support are dropped. Where
            none is left, and without one, the template's text stands.
    """
    if write is not None:
        kept, num_dropped = SupportChecker(evidence).kept(write(prompt_of(evidence)))
        num_written = len(kept) + num_dropped
        if kept:
            shown = tuple(kept[:MOST_SENTENCES])
            return Explanation(shown, "language_model", num_written, num_dropped)
        sentences = tuple(template_sentences(evidence))
        return Explanation(sentences, "template", num_written, num_dropped)
    return Explanation(tuple(template_sentences(evidence)), "template")
