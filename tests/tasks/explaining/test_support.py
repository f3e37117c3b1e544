"""No sentence with a second, word or number that the evidence lacks; all of the template's pass."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.explaining.evidence import Evidence
from tasks.explaining.support import SupportChecker
from tasks.explaining.template import template_sentences
from tasks.explaining.tokens import sentences_of
from tests.tasks.explaining.made_evidence import EXAMPLE, evidences
from tests.tasks.explaining.plain_check import unsupported

CHECK = SupportChecker(EXAMPLE)

TRUE = [
    "Of the scores, joy is the highest at 0.62; arousal 0.52, dominance 0.50 and valence 0.71.",
    "Arousal is highest at 2 s, 0.74, with a loudness of -12.1 dBFS and a pitch of 210 Hz there.",
    "At second 2 the voice is loudest, \N{MINUS SIGN}12 dB.",
    "The highest loudness is -12.1 dBFS.",
    "The mean loudness is -20.3 dBFS and the median pitch 191 Hz.",
    'At 1.5 s the words "can\'t believe it" are heard.',
    "The speaker says “you came” from 4.0 to 5.2 s.",
    "There are two pauses, the longest of 0.8 s from 3.1 to 3.9 s.",
    "A face is seen in 90% of the pictures.",
    "9 words are spoken.",
    "The clip lasts 5.5 s.",
    "The score of empathic pain is the lowest.",
    "At 3.5 s there is a pause, and at 2 s arousal peaks.",
    "At 1 s, the pitch is 180 Hz (mean loudness -20.3 dBFS).",
    "The face shows the highest joy at 0.62.",
    "The words spoken have a mean loudness of -20.3 dBFS.",
    'At 2 s the speaker says "believe it" with the highest arousal.',
    "At 2 s, arousal peaks with a pitch there.",
    "At 3.5 s the pause has an arousal of 0.55.",
    "Joy is the highest of the scores, 0.62, and arousal is highest at 2 s.",
    "Joy is 0.62, the highest, of the scores.",
]

FALSE = {
    "Joy is 0.63.": "joy 0.63",
    "Joy is 1.": "joy 1",
    "Joy is 0.31, admiration 0.62.": "joy 0.31",
    "Admiration is the highest of the scores.": "highest admiration",
    "At 2 s, joy is 0.62.": "a time at which nothing",
    "At 1 s the loudness is -12.1 dBFS.": "loudness -12.1 dBFS",
    "At 1 s the loudness is -20.3 dBFS.": "loudness -20.3 dBFS",
    "The loudness is -12.1 dBFS.": "loudness -12.1 dBFS",
    "At 2 s loudness is -12.1 dBFS and pitch 180 Hz.": "pitch 180 Hz",
    "The loudness is -12.1 dBFS at 1 s and -21.4 dBFS at 2 s.": "loudness -12.1 dBFS",
    "Arousal is highest at 9 s.": "outside the 5.5 s",
    "Arousal is highest at 1 s.": "highest arousal",
    "There are three pauses.": "pause 3",
    "There is no pause.": "pause 0",
    "The longest pause lasts 0.4 s.": "0.4 s",
    "A pause of 0.8 s is at 0.6 s.": "pause 0.8 s",
    'The words "I believe it" are heard.': 'the words "I believe it"',
    'At 4.5 s the words "can\'t believe" are heard.': "the words",
    "The speaker's joy is 0.62.": 'the word "speaker\'s"',
    "The woman is happy, joy 0.62.": "the word 'woman'",
    "Joy is not 0.62.": "the word 'not'",
    "Joy is 0.62, louder than admiration.": "the word 'louder'",
    "Joy is 62%.": "joy 62 %",
    "Joy is 0.62/1.": "'/'",
    "Joy is \u0660.\u0666\u0662.": "'\u0660'",
    "Joy is 6.2e-1.": "'6'",
    "Joy is 0,62.": "'0'",
    'Joy is 0.62, says "it.': "'\"'",
    "Joy.": "cites nothing",
    "The voice is heard in the recording.": "cites nothing",
    "No speech.": "of nothing",
    "A face is seen at 2 s.": "face",
    "0.62.": "of nothing",
    "At 3 s, the face has an arousal of 0.55.": "face",
    "At 0 s the pitch is heard with a loudness of -30.2 dBFS.": "pitch",
    "At 2 s the pause has an arousal of 0.74.": "pause",
    "At 4.2 s, the pitch has joy 0.62.": "pitch",
    "At 3 s, the words have an arousal of 0.55.": "words",
    'The speaker says "you came" at 4.5 s with the highest arousal.': "highest arousal",
    'The loudest words are "you came".': "highest loudness",
    'The speaker says "you came", the highest.': "highest of nothing",
    "The loudest pitch is 210 Hz.": "pitch 210 Hz",
    "The highest arousal, 0.42, is at 1 s.": "arousal 0.42",
    "At 1 s arousal is 0.42, the highest.": "highest arousal",
    "Of the scores, arousal is the highest at 0.74.": "arousal 0.74",
    "Of the scores, arousal is highest at 2 s, 0.74.": "highest arousal",
    "The highest of the scores is arousal, 0.74.": "highest arousal",
    "Arousal is highest at 2 s, 0.74, of the scores.": "highest arousal",
    "Joy is over 0.62.": "the word 'over' before a number",
}

BARE = replace(EXAMPLE, pauses=(), spoken=(), face_share=None, pitch_hz=None, timeline=())
ABSENT = {
    "The face shows the highest joy at 0.62.": "face",
    "The face has the highest joy.": "face",
    "The words spoken have a mean loudness of -20.3 dBFS.": "words",
    "The pause has joy 0.62.": "pause",
    "The pitch has a mean loudness of -20.3 dBFS.": "mean pitch",
}


@pytest.mark.parametrize("sentence", TRUE)
def test_what_the_evidence_says_is_supported(sentence):
    assert CHECK.problem(sentence) is None
    assert unsupported(sentence, EXAMPLE) == []


@pytest.mark.parametrize("sentence", FALSE)
def test_what_it_does_not_say_is_not(sentence):
    assert FALSE[sentence] in (CHECK.problem(sentence) or "supported")


@pytest.mark.parametrize("share", [None, 0.0])
@pytest.mark.parametrize("sentence", ABSENT)
def test_a_measure_that_is_named_must_be_there(sentence, share):
    check = SupportChecker(replace(BARE, face_share=share))
    assert check.problem(sentence) == ABSENT[sentence]


@settings(max_examples=40, deadline=None)
@given(evidences())
def test_the_template_cites_facts_alone(evidence):
    sentences = template_sentences(evidence)
    assert 1 <= len(sentences) <= 3
    check = SupportChecker(evidence)
    assert {one: check.problem(one) for one in sentences} == dict.fromkeys(sentences)
    assert [claim for one in sentences for claim in unsupported(one, evidence)] == []
    assert sentences_of(" ".join(sentences)) == sentences
    assert Evidence.from_json(evidence.to_json()) == evidence


@settings(max_examples=40, deadline=None)
@given(evidences(), st.data())
def test_a_number_that_is_changed_is_found(evidence, data):
    """One number of the template's text is written anew; then it is a fact, or the text falls."""
    sentence = data.draw(st.sampled_from(template_sentences(evidence)))
    outside = [
        found
        for found in re.finditer(r"[0-9]+(?:\.[0-9]+)?", sentence)
        if sentence[: found.start()].count('"') % 2 == 0
    ]
    if not outside:
        return
    found = data.draw(st.sampled_from(outside))
    decimals = len(found.group().partition(".")[2])
    other = f"{data.draw(st.floats(0, 600)):.{decimals}f}"
    changed = sentence[: found.start()] + other + sentence[found.end() :]
    if SupportChecker(evidence).problem(changed) is None:
        assert unsupported(changed, evidence) == []


PIECES = """the loudness pitch joy arousal pause words face is at of highest mean and , ; ( ) 0.62
    0.74 -12.1 -20.3 210 191 180 2 3 two no 90 dBFS Hz s % second from to 0.8 "believe it"
    "you came" "nothing" happy . woman quietest lasts 5.5 1e3 \u00bd"""
WORDS = st.sampled_from(re.findall(r'"[^"]*"|\S+', PIECES))


@settings(max_examples=120, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=9).map(" ".join) | st.text(max_size=40))
def test_no_text_whatever_smuggles_in_a_claim(text):
    kept, num_dropped = CHECK.kept(text)
    assert len(set(sentences_of(text))) <= len(kept) + num_dropped <= len(sentences_of(text))
    for sentence in kept:
        assert unsupported(sentence, EXAMPLE) == []
