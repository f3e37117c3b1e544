"""Makes damaged files out of good ones."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.extraction.ffmpeg import find_ffmpeg

SYNTHETIC = {
    "a.wav": (),
    "b.flac": (),
    "c.mp3": (),
    "d.m4a": ("-c:a", "aac"),
    "e.opus": ("-c:a", "libopus"),
    "f.mkv": ("-c:v", "libx264", "-c:a", "aac"),
    "g.mp4": ("-c:v", "libx264", "-c:a", "aac", "-movflags", "+faststart"),
    "h.ts": ("-c:v", "mpeg2video", "-r", "25", "-c:a", "mp2"),
    "i.avi": ("-c:v", "mpeg4", "-c:a", "mp3"),
    "j.flv": ("-c:v", "flv1", "-c:a", "mp3", "-ar", "44100"),
    "k.aiff": ("-ac", "2"),
    "l.wv": (),
}
MAX_BYTES = 2_000_000

Mutation = Callable[[bytearray, random.Random, Sequence[bytes]], bytearray]


def write_synthetic(folder: Path) -> list[Path]:
    """Write a short tone in each of several containers; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, options in SYNTHETIC.items():
        inputs = ["-f", "lavfi", "-i", "sine=frequency=440:duration=0.5:sample_rate=16000"]
        if "-c:v" in options:
            inputs += ["-f", "lavfi", "-i", "testsrc=size=64x64:rate=10:duration=0.5"]
        command = [find_ffmpeg(), "-nostdin", "-loglevel", "error", "-y", *inputs, *options]
        subprocess.run([*command, f"file:{folder / name}"], check=True, timeout=60)
    return sorted(folder.iterdir())


def write_mutants(bases: Sequence[Path], folder: Path, number: int, seed: int) -> None:
    """Write ``number`` damaged files, always the same for the same bases and seed.

    Args:
        bases: good files; those over 2 MB are left out.
        folder: where to write.
        number: how many.
        seed: of the generator of random numbers.
    """
    chance = random.Random(seed)
    small = [path for path in sorted(bases) if 0 < path.stat().st_size <= MAX_BYTES]
    contents = [path.read_bytes() for path in small]
    folder.mkdir(parents=True, exist_ok=True)
    for count in range(number):
        place = chance.randrange(len(small))
        content = bytearray(contents[place])
        names = chance.choices(sorted(MUTATIONS), k=chance.choice((1, 1, 2)))
        for name in names:
            content = MUTATIONS[name](content, chance, contents)
        suffix = small[chance.choice((place, place, chance.randrange(len(small))))].suffix
        (folder / f"{count:05d}-{'-'.join(names)}{suffix}").write_bytes(content)
    _write_odd_ones(small, folder)


def _write_odd_ones(small: Sequence[Path], folder: Path) -> None:
    """Write what is no media file, and playlists that name one."""
    shutil.copy(small[0], folder / f"good{small[0].suffix}")
    (folder / "empty.mp4").touch()
    (folder / "text.wav").write_text("a text", encoding="utf-8")
    (folder / "folder.mp4").mkdir(exist_ok=True)
    (folder / "dangling.mp4").symlink_to(folder / "nowhere")
    (folder / "list.mp4").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{small[0]}\n#EXT-X-ENDLIST\n"
    )
    (folder / "list.wav").write_text(f"ffconcat version 1.0\nfile '{small[0]}'\n")


def _flip(content: bytearray, chance: random.Random, _: Sequence[bytes]) -> bytearray:
    for _number in range(chance.choice((1, 10, 100)) if content else 0):
        content[chance.randrange(len(content))] = chance.randrange(256)
    return content


def _flip_header(content: bytearray, chance: random.Random, _: Sequence[bytes]) -> bytearray:
    for _number in range(8 if content else 0):
        content[chance.randrange(min(len(content), 512))] = chance.randrange(256)
    return content


def _cut(content: bytearray, chance: random.Random, _: Sequence[bytes]) -> bytearray:
    return content[: chance.randrange(len(content) + 1)]


def _behead(content: bytearray, chance: random.Random, _: Sequence[bytes]) -> bytearray:
    return content[chance.randrange(min(len(content), 4_096) + 1) :]


def _lose(content: bytearray, chance: random.Random, _: Sequence[bytes]) -> bytearray:
    place = chance.randrange(len(content) + 1)
    return content[:place] + content[place + chance.randrange(1, 5_000) :]


def _repeat(content: bytearray, chance: random.Random, _: Sequence[bytes]) -> bytearray:
    place = chance.randrange(len(content) + 1)
    return content[:place] + content[max(0, place - 3_000) : place] * 2 + content[place:]


def _blank(content: bytearray, chance: random.Random, _: Sequence[bytes]) -> bytearray:
    place = chance.randrange(len(content) + 1)
    length = min(chance.randrange(1, 5_000), len(content) - place)
    content[place : place + length] = bytes(length)
    return content


def _huge(content: bytearray, chance: random.Random, _: Sequence[bytes]) -> bytearray:
    """Write a huge number, such as a size, a rate or a count of channels."""
    place = chance.randrange(min(len(content), 2_000) + 1)
    content[place : place + 4] = chance.choice(
        (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0")
    )
    return content


def _append(content: bytearray, chance: random.Random, others: Sequence[bytes]) -> bytearray:
    return content + chance.choice(others)


def _mix(content: bytearray, chance: random.Random, others: Sequence[bytes]) -> bytearray:
    other = chance.choice(others)
    return content[: len(content) // 2] + other[len(other) // 2 :]


MUTATIONS: dict[str, Mutation] = {
    "append": _append,
    "behead": _behead,
    "blank": _blank,
    "cut": _cut,
    "flip": _flip,
    "flipheader": _flip_header,
    "huge": _huge,
    "lose": _lose,
    "mix": _mix,
    "repeat": _repeat,
}
"""Ways to damage a file, by name."""
