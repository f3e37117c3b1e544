"""What seeing adds to extraction: 50 clips of 7 s made of real recordings of people."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from tasks.corpus.clips import ClipFile
from tasks.corpus.listing import list_clips
from tasks.extraction.audio import MAX_CLIPS_TOGETHER
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.extraction.headers import Prober
from tasks.extraction.media import extract_media
from tasks.extraction.rows import extract_group, local_file
from tests.places import RECORDINGS

NUM_CLIPS = 50
SECONDS = 7
REPEATS = 3
PEOPLE = ("WolfgangLanger_Pexels.mp4", "single_face.mp4", "face_noface.mov", "chaplin.mp4",
          "sample_fragmented.mp4")  # fmt: skip
Block = Sequence[ClipFile]
SIZES = ((1280, 720), (640, 360))


def faces(folder: Path, _: Path) -> Iterator[tuple[str, str]]:
    """Milliseconds a clip, wall and CPU of all processes: sound, with pictures, with faces."""
    for width, height in SIZES:
        clips = _make_corpus(folder / f"{height}", width, height)
        with Prober() as prober:
            ways = {
                "sound alone": lambda block: _rows(block, {"audio": True}, prober),
                "and pictures": lambda block: list(
                    extract_media(
                        [clip.file() for clip in block],
                        sound=True,
                        sight=True,
                        max_seconds=12.0,
                        prober=prober,
                    )
                ),
                "and faces": lambda block: _rows(block, {"audio": True, "vision": False}, prober),
            }
            rounds = [
                {name: _cost(way, clips) for name, way in ways.items()} for _ in range(REPEATS)
            ]
        for name in ways:
            wall, cpu = (statistics.median(one[name][part] for one in rounds) for part in (0, 1))
            yield (
                f"extraction, {SECONDS} s of {width} x {height}, {name}",
                (f"{wall:.1f} ms a clip, CPU {cpu:.1f}"),
            )


def _make_corpus(folder: Path, width: int, height: int) -> list[ClipFile]:
    folder.mkdir(parents=True)
    for number in range(NUM_CLIPS):
        source = RECORDINGS / PEOPLE[number % len(PEOPLE)]
        start = number // len(PEOPLE) * 0.2
        command = [find_ffmpeg(), "-nostdin", "-loglevel", "error", "-stream_loop", "-1"]
        command += ["-ss", f"{start}", "-i", str(source), "-t", str(SECONDS), "-r", "30"]
        command += ["-vf", f"scale={width}:{height}", "-c:v", "libx264", "-preset", "ultrafast"]
        command += ["-crf", "26", "-c:a", "aac", str(folder / f"{number}.mp4")]
        subprocess.run(command, check=True, timeout=120)
    return list(list_clips(str(folder)))


def _rows(block: Sequence[ClipFile], needs: dict[str, bool], prober: Prober) -> list[object]:
    group = []
    for clip in block:
        with local_file(clip) as local:
            group.append((clip, local))
    limits = {"max_seconds": 12.0, "timeout_seconds": 120.0}
    return list(extract_group(group, prober=prober, needs=needs, **limits))


def _cost(
    extract: Callable[[Sequence[ClipFile]], object], clips: Sequence[ClipFile]
) -> list[float]:
    extract(clips[:2])  # starts the child processes
    wall, cpu = time.perf_counter(), _cpu_seconds()
    for start in range(0, len(clips), MAX_CLIPS_TOGETHER):
        extract(clips[start : start + MAX_CLIPS_TOGETHER])
    wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    return [1e3 * wall / len(clips), 1e3 * cpu / len(clips)]


def _cpu_seconds() -> float:
    """Return what this process and its children took, those that have ended included."""
    times = os.times()
    alive = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    ended = times.children_user + times.children_system
    return times.user + times.system + ended + sum(one.user + one.system for one in alive)
