"""What a language model is asked to write, and the facts that it may use."""

from __future__ import annotations

from emi_model.targets import VAD_DIMENSIONS
from tasks.explaining.evidence import Evidence, EvidenceSecond
from tasks.explaining.template import template_sentences

PROMPT_VERSION = 2
"""Increased when the prompt, the template or the rules of support change."""

MOST_SECONDS, MOST_SPOKEN = 16, 8

_TASK = """\
Facts about a short recording of a person, measured by programs:
{facts}
Write two or three short sentences about what stands out in it: which score, at which second, with \
which words. Use only these facts, their numbers and units as they stand, and the words of the \
facts. Say times as "at 3 s". Put what the person says in double quotes. Guess no reason, no \
feeling, no age and no sex.
Sentences:"""


def prompt_of(evidence: Evidence) -> str:
    """Return the prompt for a clip's evidence.

    It has the sentences of the template, at most 16 seconds (those of the highest arousal, or the
    loudest) and at most 8 stretches of speech.
    """
    chosen = sorted(evidence.timeline, key=_height, reverse=True)[:MOST_SECONDS]
    lines = [
        f"length {evidence.seconds:.1f} s",
        *(sentence.rstrip(".") for sentence in template_sentences(evidence)),
        *(_second(one) for one in sorted(chosen, key=lambda one: one.second)),
        *(f"{name.replace('_', ' ')} {value:.2f}" for name, value in evidence.scores.items()),
        *(
            f'from {one.start_seconds:.1f} to {one.end_seconds:.1f} s "{one.text}"'
            for one in (evidence.spoken or ())[:MOST_SPOKEN]
        ),
    ]
    return _TASK.format(facts="\n".join(f"- {line}" for line in lines))


def _height(one: EvidenceSecond) -> float:
    return one.arousal if one.arousal is not None else (one.loudness_dbfs or 0.0)


def _second(one: EvidenceSecond) -> str:
    parts = [
        f"{name} {getattr(one, name):.2f}" for name in VAD_DIMENSIONS if one.arousal is not None
    ]
    if one.loudness_dbfs is not None:
        parts.append(f"loudness {one.loudness_dbfs:.1f} dBFS")
    if one.pitch_hz is not None:
        parts.append(f"pitch {one.pitch_hz:.0f} Hz")
    return f"at {one.second} s: {', '.join(parts)}"
