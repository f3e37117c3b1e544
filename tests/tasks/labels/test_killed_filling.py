from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tasks.corpus.clips import hash_content
from tasks.corpus.listing import list_clips
from tasks.labels.audio_cache import AudioCache

PROJECT = Path(__file__).parents[3]

KILLED_EVERYWHERE = """
import os, signal, sys
from pathlib import Path
from tasks.corpus.clips import hash_content
from tasks.corpus.listing import list_clips
from tasks.labels.audio_cache import AudioCache

corpus, caches = sys.argv[1:]
items = [(clip, hash_content(clip.file())) for clip in list_clips(corpus)]

def fill(number):
    needs = {"audio": True, "functionals": True}
    return AudioCache(Path(caches) / str(number), needs).fill(items, decoders=1)

def kill_at(number):
    left = number
    def hook(event, arguments):
        nonlocal left
        # not of what Python compiles the first time
        if event == "os.rename" and not str(arguments[1]).endswith(".pyc"):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
    sys.addaudithook(hook)

number, ended = 0, False
while not ended:
    pid = os.fork()
    if pid == 0:
        kill_at(number)
        os._exit(len(fill(number)))
    signalled = os.waitpid(pid, 0)[1]
    ended = signalled != signal.SIGKILL
    number += 1
sys.exit(signalled)
"""
"""The same filling again and again, killed before the first rename, the second, ..."""


def test_kill_9_at_any_moment_loses_and_repeats_nothing(
    make_media: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    for number in range(3):
        make_media(f"clips/{number}.wav", seconds=0.3, hertz=300 + number)
    caches = tmp_path / "caches"
    command = [sys.executable, "-c", KILLED_EVERYWHERE, str(tmp_path / "clips"), str(caches)]
    assert subprocess.run(command, cwd=PROJECT, timeout=120, check=False).returncode == 0
    items = []
    for clip in list_clips(str(tmp_path / "clips")):
        content = hash_content(clip.file())
        assert content is not None
        items.append((clip, content))
    undisturbed = contents_below(caches / "6")
    assert len(undisturbed) == 6, "three clips in two modalities, after as many kills"
    left = []
    for number in range(6):
        cache = AudioCache(caches / str(number), {"audio": True, "functionals": True})
        before = {name: (cache.root / name).stat() for name in contents_below(cache.root)}
        left.append(len(before))
        assert cache.fill(items, decoders=1) == {}
        assert contents_below(cache.root) == undisturbed
        for name, stat in before.items():
            assert (cache.root / name).stat().st_ino == stat.st_ino, "extracted a second time"
    assert left == [0, 1, 2, 3, 4, 5]


def contents_below(root: Path) -> dict[Path, bytes]:
    """Return the files of a cache, without those that were being written."""
    files = [path for path in root.rglob("[!.]*") if path.is_file()]
    return {path.relative_to(root): path.read_bytes() for path in files}
