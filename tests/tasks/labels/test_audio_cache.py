from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emi_model.errors import CorpusError, MediaToolError
from emi_model.units import SAMPLING_RATE
from tasks.corpus.clips import ClipFile, hash_content
from tasks.corpus.listing import list_clips
from tasks.extraction.audio import Extraction
from tasks.extraction.registry import ClipMedia, register_extractor
from tasks.labels.audio_cache import CACHED_SECONDS, AudioCache, CacheFailure
from tasks.labels.cache_files import write_values
from tasks.schema.outcomes import Reason, Rejection
from tasks.schema.scores import EXTRACTION

Item = tuple[ClipFile, str]
MakeMedia = Callable[..., Path]

PROJECT = Path(__file__).parents[3]


def item(path: Path) -> Item:
    (clip,) = list_clips(str(path))
    content = hash_content(path)
    assert content is not None
    return clip, content


@pytest.fixture
def cache(tmp_path: Path) -> AudioCache:
    return AudioCache(tmp_path / "cache")


def files_below(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


class TestRead:
    def test_samples_are_those_of_extraction_without_ffmpeg(
        self,
        make_media: MakeMedia,
        cache: AudioCache,
        take: Callable[..., Extraction],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        path = make_media("a.m4a", seconds=2.5, sampling_rate=44_100)
        expected = take(path).waveform
        clip, content = item(path)
        assert cache.fill([(clip, content)], decoders=2) == {}
        broken = tmp_path / "ffmpeg"
        broken.write_text("#!/bin/sh\nexit 1\n")
        broken.chmod(0o755)
        monkeypatch.setenv("EMI_FFMPEG", str(broken))
        path.unlink()
        waveform = cache.read(content)
        assert waveform.dtype == np.int16
        assert np.array_equal(waveform, expected)
        assert np.array_equal(cache.read(content, 1000, 500), expected[1000:1500])
        assert np.array_equal(cache.read(content, len(expected) - 7), expected[-7:])
        assert len(cache.read(content, len(expected) + 7, 10)) == 0
        assert cache.num_samples(content) == len(expected)
        assert cache.fill([(clip, content)], decoders=2) == {}

    @pytest.mark.parametrize("num_samples", [1, 15, 16, 4097])
    def test_every_sample_value_and_every_length(self, num_samples: int, cache: AudioCache) -> None:
        samples = np.random.default_rng(0).integers(-(2**15), 2**15, num_samples).astype(np.int16)
        write_values(cache.root / f"v{EXTRACTION}/ab/ab.flac", samples)
        assert np.array_equal(cache.read("ab"), samples)
        assert cache.num_samples("ab") == num_samples

    def test_a_long_clip_is_kept_to_the_limit(
        self, make_media: MakeMedia, cache: AudioCache
    ) -> None:
        clip, content = item(make_media("long.wav", seconds=CACHED_SECONDS + 1))
        cache.fill([(clip, content)], decoders=1)
        assert cache.num_samples(content) == CACHED_SECONDS * SAMPLING_RATE

    def test_what_is_not_there_or_damaged(self, cache: AudioCache) -> None:
        with pytest.raises(CorpusError, match="the cache must be filled"):
            cache.read("ab")
        write_values(cache.root / f"v{EXTRACTION}/ab/ab.flac", np.zeros(100, np.int16))
        (file,) = files_below(cache.root)
        file.write_bytes(b"fLaC torn")
        with pytest.raises(CorpusError, match="remove it and run again"):
            cache.num_samples("ab")


class TestFill:
    def test_what_is_there_is_left_alone(self, make_media: MakeMedia, cache: AudioCache) -> None:
        items = [item(make_media(f"{number}.wav", hertz=number)) for number in (300, 400)]
        told: list[tuple[int, int]] = []
        cache.fill(items[:1], decoders=2)
        before = {path: path.stat().st_mtime_ns for path in files_below(cache.root)}
        cache.fill(items, decoders=2, on_progress=lambda done, total: told.append((done, total)))
        assert told == [(1, 2), (2, 2)]
        assert {path: path.stat().st_mtime_ns for path in before} == before
        assert {path.stem for path in files_below(cache.root)} == {content for _, content in items}

    def test_failures_are_told_and_not_kept(
        self, make_media: MakeMedia, cache: AudioCache, tmp_path: Path
    ) -> None:
        good, changed = item(make_media("good.wav")), item(make_media("changed.wav", hertz=300))
        make_media("changed.wav", hertz=301)
        notes = tmp_path / "notes.mp3"
        notes.write_text("a renamed text")
        gone = (ClipFile("gone.wav", b"/nowhere/gone.wav", None, None), "ab" * 32)
        failures = cache.fill([good, changed, item(notes), gone], decoders=2)
        assert {clip_id: failure.reason for clip_id, failure in failures.items()} == {
            "changed.wav": "changed",
            "notes.mp3": "unreadable",
            "gone.wav": "missing",
        }
        assert "add its labels again" in failures["changed.wav"].detail
        assert [path.stem for path in files_below(cache.root)] == [good[1]]
        assert str(CacheFailure("missing", "no file")) == "missing: no file"

    def test_one_content_under_two_names(self, make_media: MakeMedia, cache: AudioCache) -> None:
        clip, content = item(make_media("a.wav"))
        assert cache.fill([(clip, content)] * 4, decoders=4) == {}
        assert len(files_below(cache.root)) == 1

    def test_a_place_that_cannot_be_written(self, make_media: MakeMedia, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(CorpusError, match="the audio cache cannot be written"):
            AudioCache(tmp_path / "file").fill([item(make_media("a.wav"))], decoders=1)

    def test_no_ffmpeg(
        self, make_media: MakeMedia, cache: AudioCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted = item(make_media("a.wav"))
        monkeypatch.setenv("EMI_FFMPEG", "/nowhere/ffmpeg")
        with pytest.raises(MediaToolError, match="EMI_FFMPEG"):
            cache.fill([wanted], decoders=1)

    def test_processes_that_fill_it_at_once(
        self, make_media: MakeMedia, cache: AudioCache, tmp_path: Path
    ) -> None:
        (tmp_path / "clips").mkdir()
        for number in range(6):
            make_media(f"clips/{number}.wav", seconds=0.2, hertz=300 + number)
        script = (
            "import sys; from pathlib import Path\n"
            "from tasks.labels.audio_cache import AudioCache\n"
            "from tasks.corpus.clips import hash_content\n"
            "from tasks.corpus.listing import list_clips\n"
            "items = [(clip, hash_content(clip.file())) for clip in list_clips(sys.argv[1])]\n"
            "sys.exit(len(AudioCache(Path(sys.argv[2])).fill(items, decoders=2)))"
        )
        command = [sys.executable, "-c", script, str(tmp_path / "clips"), str(cache.root)]
        running = [subprocess.Popen(command, cwd=PROJECT) for _ in range(3)]
        assert [process.wait(120) for process in running] == [0, 0, 0]
        assert {path.suffix for path in files_below(cache.root)} == {".flac"}
        assert len(files_below(cache.root)) == 6

    def test_an_interruption_ends_it_at_once(
        self, make_media: MakeMedia, cache: AudioCache, tmp_path: Path
    ) -> None:
        path = make_media("a.wav")
        stuck = tmp_path / "stuck"
        stuck.write_text("#!/bin/sh\nexec sleep 60\n")
        stuck.chmod(0o755)
        script = (
            "import sys; from pathlib import Path\n"
            "from tasks.labels.audio_cache import AudioCache\n"
            "from tasks.corpus.clips import hash_content\n"
            "from tasks.corpus.listing import list_clips\n"
            "items = [(clip, hash_content(clip.file())) for clip in list_clips(sys.argv[1])]\n"
            "print('begun', flush=True)\n"
            "AudioCache(Path(sys.argv[2])).fill(items, decoders=2)"
        )
        command = [sys.executable, "-c", script, str(path), str(cache.root)]
        environment = {"EMI_FFMPEG": str(stuck), "PATH": "/usr/bin:/bin"}
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=pipe, stderr=pipe, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            time.sleep(1)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        assert time.monotonic() - started < 10
        assert files_below(cache.root) == []


@register_extractor("ends", version=7, needs_audio=True)
def ends(media: ClipMedia) -> NDArray[np.float32] | Rejection:
    """Give the first and the last sample; a clip whose name begins with a z has none."""
    if not isinstance(media.audio, Extraction) or media.path.name.startswith("z"):
        return Rejection(reason=Reason.NO_SAMPLES, detail="no ends")
    return media.audio.waveform[[0, -1]].astype(np.float32)


class TestModalities:
    def test_each_lies_under_its_extractor_and_version(
        self, make_media: MakeMedia, tmp_path: Path
    ) -> None:
        whole, lacking = item(make_media("a.wav")), item(make_media("z.wav", hertz=300))
        cache = AudioCache(tmp_path / "cache", {"audio": True, "ends": False})
        assert cache.fill([whole, lacking], decoders=1) == {}
        found = cache.inputs(whole[1])
        assert np.array_equal(found["ends"], found["audio"][[0, -1]].astype(np.float32))
        assert [*cache.inputs(lacking[1])] == ["audio"]
        assert {path.relative_to(cache.root).parts[0] for path in files_below(cache.root)} == {
            f"v{EXTRACTION}",
            "ends-v7",
        }
        absent = [path for path in files_below(cache.root) if path.suffix == ".absent"]
        assert [path.stem for path in absent] == [lacking[1]]
        before = {path: path.stat().st_mtime_ns for path in files_below(cache.root)}
        assert cache.fill([whole, lacking], decoders=1) == {}
        assert {path: path.stat().st_mtime_ns for path in files_below(cache.root)} == before

    def test_what_is_needed_and_absent_is_a_failure(
        self, make_media: MakeMedia, tmp_path: Path
    ) -> None:
        lacking = item(make_media("z.wav"))
        cache = AudioCache(tmp_path / "cache", {"audio": True, "ends": True})
        failures = cache.fill([lacking], decoders=1)
        assert failures == {"z.wav": CacheFailure("no_samples", "no ends")}
        assert files_below(cache.root) == []

    def test_without_audio_and_damaged(self, make_media: MakeMedia, tmp_path: Path) -> None:
        clip = item(make_media("a.wav"))
        cache = AudioCache(tmp_path / "cache", {"ends": True})
        assert cache.fill([clip], decoders=1) == {}
        assert cache.num_samples(clip[1]) == 2
        (file,) = files_below(cache.root)
        file.write_bytes(b"no array")
        with pytest.raises(CorpusError, match="remove it and run again"):
            cache.inputs(clip[1])
        file.unlink()
        with pytest.raises(CorpusError, match="the cache must be filled"):
            cache.inputs(clip[1])


@register_extractor("repeated", version=1, key=lambda times: "" if times is None else f"{times:x}")
def repeated(media: ClipMedia) -> NDArray[np.uint8]:
    """Give as many numbers as its settings say."""
    return np.zeros(media.options.get("repeated", 1), np.uint8)


def test_inputs_under_other_settings_have_a_folder_of_their_own(
    tmp_path: Path, make_media: MakeMedia
) -> None:
    clip, content = item(make_media("tone.wav"))
    for times, folder in ((12, "repeated-v1-c"), (3, "repeated-v1-3"), (None, "repeated-v1")):
        options = {} if times is None else {"repeated": times}
        cache = AudioCache(tmp_path / "cache", {"repeated": True}, options)
        assert cache.fill([(clip, content)], decoders=1) == {}
        assert len(cache.inputs(content)["repeated"]) == (times or 1)
        assert (tmp_path / "cache" / folder).is_dir()


@register_extractor("moody", version=1, key=lambda _: "")
def moody(media: ClipMedia) -> NDArray[np.uint8] | Rejection:
    """Refuse a clip for the reason that its settings name."""
    reason = media.options.get("moody")
    media.noted["moody"] = {"mood": 1}
    return np.ones(3, np.uint8) if reason is None else Rejection(reason=reason, detail="moody")


OPTIONAL = {"repeated": False, "moody": False}


def test_an_input_after_the_other_is_what_both_at_once_are(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_text("a")
    clip, content = item(tmp_path / "a.bin")
    for reason in (Reason.NO_FACE, None):
        caches = []
        for name, each in (("once", [OPTIONAL]), ("later", [{"repeated": False}, OPTIONAL])):
            for needs in each:
                cache = AudioCache(tmp_path / f"{name} {reason}", needs, {"moody": reason})
                assert cache.fill([(clip, content)], decoders=1) == {}
            assert cache.has(content)
            assert cache.absent(content) == ("moody",) * (reason is not None)
            assert cache.facts(content, "moody") == {"mood": 1}
            caches.append({path.relative_to(cache.root) for path in files_below(cache.root)})
        assert caches[0] == caches[1]
    cache = AudioCache(tmp_path / "none", {"moody": False}, {"moody": Reason.NO_FACE})
    assert [*cache.fill([(clip, content)], decoders=1)] == ["a.bin"]  # it has no input at all
    assert files_below(cache.root) == []
