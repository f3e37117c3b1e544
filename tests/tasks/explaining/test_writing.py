"""What of a language model's text is shown, and what is counted as dropped."""

from tasks.explaining.prompt import prompt_of
from tasks.explaining.template import template_sentences
from tasks.explaining.writing import explained
from tests.tasks.explaining.made_evidence import EXAMPLE

TEMPLATE = [
    "Of the scores, joy is the highest at 0.62; arousal 0.52, dominance 0.50 and valence 0.71.",
    "Arousal is highest at 2 s, 0.74, with a loudness of -12.1 dBFS and a pitch of 210 Hz there "
    "(mean loudness -20.3 dBFS, median pitch 191 Hz).",
    'From 1.0 to 2.9 s the words "I can\'t believe it." are heard; there are 2 pauses, the longest '
    "of 0.8 s from 3.1 to 3.9 s; a face is seen in 90 % of the pictures.",
]


def test_the_template_says_what_was_measured():
    assert template_sentences(EXAMPLE) == TEMPLATE
    text = explained(EXAMPLE)
    assert (text.text, text.writer, text.num_dropped) == (" ".join(TEMPLATE), "template", 0)


def test_sentences_without_support_are_dropped_and_counted():
    said = (
        'At 1.5 s the speaker says "believe it". She is glad! The pitch is 999 Hz.\n'
        "Joy is 0.62, the highest. Joy is 0.62, the highest. At 2 s arousal peaks. A face is seen "
        "in 90 % of the pictures."
    )
    asked = []
    text = explained(EXAMPLE, lambda prompt: asked.append(prompt) or said)
    assert asked == [prompt_of(EXAMPLE)]
    assert text.sentences == (
        'At 1.5 s the speaker says "believe it".',
        "Joy is 0.62, the highest.",
        "At 2 s arousal peaks.",
    )
    assert (text.writer, text.num_dropped) == ("language_model", 2)


def test_where_none_is_left_the_template_stands():
    text = explained(EXAMPLE, lambda _: "I am sure she is glad. Very much so")
    assert (list(text.sentences), text.writer, text.num_dropped) == (TEMPLATE, "template", 2)
    assert explained(EXAMPLE, lambda _: "").num_dropped == 0


def test_the_prompt_has_the_facts_and_is_short():
    prompt = prompt_of(EXAMPLE)
    assert "- at 2 s: arousal 0.74, dominance 0.50, valence 0.60, loudness -12.1 dBFS" in prompt
    assert '- from 4.0 to 5.2 s "You came, all of you!"' in prompt
    assert "- empathic pain 0.05" in prompt
    assert len(prompt) < 2_500
