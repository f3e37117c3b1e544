"""Sentences that express one of the six targets, or none, by their words alone.

No template of the training clips is one of the held-out clips. The same topics fill both, so a
topic says nothing about a target.
"""

from __future__ import annotations

import numpy as np

from emi_model.targets import EMI_TARGETS

NO_TARGET = len(EMI_TARGETS)
"""The colour of words, voice and face that express none of the targets."""

TOPICS = (
    "the teacher",
    "the concert",
    "the garden",
    "the journey",
    "the picture",
    "the kitchen",
    "the letter",
    "my sister",
    "my neighbour",
    "our school",
    "our village",
    "our doctor",
)

TRAIN_TEMPLATES: tuple[tuple[str, ...], ...] = (
    (
        "I deeply admire what {} stands for.",
        "I have so much respect for {}.",
        "You are a truly gifted person, tell {}.",
        "That was masterful work, I look up to {}.",
        "I am impressed by the great skill behind {}.",
        "Such talent, {} is an inspiration to me.",
        "What an amazing achievement, I praise {}.",
        "I am in awe of {}, simply brilliant.",
    ),
    (
        "That joke about {} was so funny.",
        "I had to laugh out loud about {}.",
        "How hilarious, {} makes me giggle.",
        "Such a silly prank on {}, very funny.",
        "It is ridiculous, we all laughed at {}.",
        "The funny story of {} cracks me up.",
        "What a comical mistake with {}, ha ha.",
        "I cannot stop laughing about {}.",
    ),
    (
        "I will never give up on {}.",
        "I must finish this for {}, whatever it takes.",
        "Nothing will stop me from reaching {}.",
        "I am determined to succeed with {}.",
        "We will fight hard for {} until we win.",
        "I keep working on {} until it is done.",
        "I will not quit, {} is my goal.",
        "I have decided, I will manage {}.",
    ),
    (
        "I am so sorry that {} got hurt.",
        "It breaks my heart to see {} suffer.",
        "That must be so painful for {}.",
        "I feel the grief and loss of {}.",
        "Poor thing, {} is in terrible pain.",
        "I cried when I heard how {} was injured.",
        "My sympathy to {} for that sad loss.",
        "It hurts me that {} is suffering.",
    ),
    (
        "I can hardly wait to see {}.",
        "This is thrilling, {} starts right now.",
        "I am so excited about {}.",
        "Quick, hurry, {} is about to begin.",
        "What a thrill, we are going to {} tonight.",
        "Get ready, the big day of {} is coming.",
        "I am bursting with anticipation for {}.",
        "It is so exciting, {} comes tomorrow.",
    ),
    (
        "I am so happy about {} today.",
        "What a delight, {} makes me glad.",
        "I feel joyful and content with {}.",
        "My heart is full of joy for {}.",
        "It is a lovely happy time with {}.",
        "I smile because {} makes me cheerful.",
        "Life is beautiful and {} is a pleasure.",
        "We are merry and pleased with {}.",
    ),
    (
        "The form about {} lies on the table.",
        "There is a list of numbers for {}.",
        "The bus stops next to {} at nine.",
        "On Monday the report mentions {}.",
        "The box beside {} is made of paper.",
        "They moved the chair near {} to the left.",
        "The second page describes {}.",
        "Someone wrote the date next to {}.",
    ),
)
"""Of each target, in their order, and of none; ``{}`` is a topic."""

HELD_OUT_TEMPLATES: tuple[tuple[str, ...], ...] = (
    (
        "I truly look up to {}, what a talent.",
        "My greatest respect goes to {}.",
        "I admire how brilliant {} is.",
        "What impressive skill, I praise {}.",
    ),
    (
        "We laughed so hard at the joke about {}.",
        "How funny {} is, I have to giggle.",
        "That prank with {} was hilarious.",
        "It makes me laugh how silly {} is.",
    ),
    (
        "I will fight for {} and never quit.",
        "Whatever it takes, I will succeed with {}.",
        "I am determined and keep working on {}.",
        "I will not stop until I reach {}.",
    ),
    (
        "I am sorry, {} must be in such pain.",
        "It is heartbreaking how much {} suffers.",
        "I feel so sad that {} was hurt.",
        "My heart aches for the loss of {}.",
    ),
    (
        "I am thrilled, {} is about to start.",
        "So exciting, I cannot wait for {}.",
        "Hurry, the exciting day of {} is here.",
        "I wait with great excitement for {}.",
    ),
    (
        "I am glad and full of joy about {}.",
        "What a happy lovely day with {}.",
        "I am cheerful and pleased with {}.",
        "It is a pleasure, {} makes me happy.",
    ),
    (
        "The report about {} has two pages.",
        "A paper with the date lies near {}.",
        "On Tuesday the list describes {}.",
        "The bus moved to the left of {}.",
    ),
)


def draw_sentence(colour: int, *, held_out: bool, rng: np.random.Generator) -> str:
    """Return a sentence of a colour: an index of the targets, or `NO_TARGET`."""
    templates = (HELD_OUT_TEMPLATES if held_out else TRAIN_TEMPLATES)[colour]
    template = templates[rng.integers(len(templates))]
    return template.format(TOPICS[rng.integers(len(TOPICS))])
