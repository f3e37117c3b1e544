"""What words, voice and face express can be found in each of them, on templates and people unseen.

Simple statistics and ridge regression do it, so the corpus is there to be learnt from.
"""

import re

import numpy as np
from PIL import Image

from tasks.synthetic.face import draw_face, paint
from tasks.synthetic.film import LOOKS, draw_scene
from tasks.synthetic.sentences import NO_TARGET, draw_sentence
from tasks.synthetic.speech import SPOKEN_RATE, WAYS, draw_talkers, speak_sentence

COLOURS = range(NO_TARGET + 1)


def found(train, valid):
    """The share of ``valid`` (colour, features) whose colour a ridge regression on others finds."""
    colours, features = (np.array(column) for column in zip(*train, strict=True))
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    scaled = (features - mean) / deviation
    kernel = scaled @ scaled.T + 0.1 * features.shape[1] * np.eye(len(scaled))
    dual = np.linalg.solve(kernel, np.eye(len(COLOURS))[colours])
    others, seen = (np.array(column) for column in zip(*valid, strict=True))
    guessed = ((seen - mean) / deviation @ scaled.T @ dual).argmax(axis=1)
    return (guessed == others).mean()


def words_of(sentence):
    """Which of a thousand hashed words a sentence has."""
    counts = np.zeros(1000)
    counts[[hash_of(word) % 1000 for word in re.findall(r"\w+", sentence.lower())]] = 1.0
    return counts


def hash_of(word):
    return sum(ord(letter) * 31**place for place, letter in enumerate(word))


def test_words_of_unseen_templates():
    rng = np.random.default_rng(0)
    train, valid = (
        [
            (colour, words_of(draw_sentence(colour, held_out=held_out, rng=rng)))
            for colour in COLOURS
            for _ in range(24)
        ]
        for held_out in (False, True)
    )
    assert found(train, valid) > 0.85


def test_looks_of_unseen_faces():
    rng = np.random.default_rng(0)

    def seen(people):
        for _ in range(people):
            face = draw_face(rng)
            for colour in COLOURS:
                scene = draw_scene(rng)
                x, y = scene.centre
                reach = 1.3 * scene.head
                box = (x - reach, y - 0.6 * reach, x + reach, y + 1.4 * reach)
                crop = Image.fromarray(paint(face, LOOKS[colour], scene)).crop(tuple(map(int, box)))
                grey = np.asarray(crop.convert("L").resize((24, 24)), float)
                yield colour, ((grey - grey.mean()) / grey.std()).ravel()

    assert found(list(seen(16)), list(seen(6))) > 0.75


def test_ways_of_unseen_voices():
    rng = np.random.default_rng(0)
    talkers = draw_talkers(9, rng)

    def heard(some):
        for talker in some:
            for colour in COLOURS:
                text = draw_sentence(NO_TARGET, held_out=False, rng=rng)
                yield colour, sound_of(speak_sentence(text, talker, WAYS[colour], rng))

    assert found(list(heard(talkers[:6])), list(heard(talkers[6:]))) > 0.4  # one in seven by chance


def sound_of(waveform):
    """Spectrum, how the loudness moves and how fast, duration."""
    frames = waveform[: len(waveform) // 220 * 220].reshape(-1, 220)
    loudness = np.log(np.square(frames).mean(axis=1) + 1e-3)
    moves = np.abs(np.fft.rfft((loudness - loudness.mean()) * np.hanning(len(loudness)), 1024))
    power = np.abs(np.fft.rfft(waveform, SPOKEN_RATE)) ** 2
    bands = [np.log(power[low : low * 3 // 2].mean()) for low in (80, 120, 180, 270, 400, 600)]
    bands += [np.log(power[low : low * 3 // 2].mean()) for low in (900, 1350, 2000, 3000, 4500)]
    course = [part.mean() for part in np.array_split(loudness, 8)]
    speeds = [part.mean() for part in np.array_split(moves[5:155] / len(loudness), 15)]
    return np.array([*bands, *course, *speeds, len(waveform) / SPOKEN_RATE])
