from __future__ import annotations

import ast
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.extraction import headers_child
from tasks.extraction.formats import ALLOWED_CONTAINERS, ALLOWED_DECODERS, DEEP_PROBE
from tasks.extraction.headers import AudioTrack, Header, ProbeFailure, Prober, parse_answer
from tasks.schema.outcomes import Reason

MakeMedia = Callable[..., Path]


def read(prober: Prober, path: Path, timeout_seconds: float = 20.0) -> Header | ProbeFailure:
    return prober.read(f"file:{path}", timeout_seconds=timeout_seconds)


def read_header(prober: Prober, path: Path) -> Header:
    header = read(prober, path)
    assert isinstance(header, Header)
    return header


def child_pid(prober: Prober) -> int:
    assert prober.pid is not None
    return prober.pid


def test_header_of_a_film(make_media: MakeMedia, prober: Prober) -> None:
    path = make_media(
        "film.mp4",
        *("-map", "1:v", "-map", "0:a", "-c:v", "libx264", "-c:a", "aac", "-ac", "2"),
        picture_seconds=2.0,
        sampling_rate=44_100,
    )
    header = read_header(prober, path)
    assert "mp4" in header.container.split(",")
    assert header.seconds == pytest.approx(2.0, abs=0.1)
    assert header.tracks == (
        AudioTrack(
            index=1,
            codec="aac",
            allowed=True,
            encrypted=False,
            sampling_rate=44_100,
            channels=2,
            default=True,
            seconds=1.0,
            layout="stereo",
            start_seconds=0.0,
        ),
    )


def test_matroska_declares_by_its_tag_and_from_its_start(
    make_media: MakeMedia, prober: Prober
) -> None:
    late = ("-af", "asetpts=PTS+1/TB", "-c:v", "libx264", "-c:a", "flac")
    (track,) = read_header(prober, make_media("late.mkv", *late, picture_seconds=2.0)).tracks
    assert track.seconds == pytest.approx(1.0, abs=0.01)
    assert track.start_seconds == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", ["bare.aac", "bare.mp3"])
def test_duration_estimated_from_the_bit_rate_is_not_declared(
    name: str, make_media: MakeMedia, prober: Prober
) -> None:
    options = ("-write_xing", "0", "-id3v2_version", "0") if name.endswith("mp3") else ()
    header = read_header(prober, make_media(name, *options))
    assert header.seconds is None
    assert [track.seconds for track in header.tracks] == [None]


def test_one_child_reads_many_files_also_for_threads(make_media: MakeMedia) -> None:
    path = make_media("tone.wav")
    with Prober() as prober:
        assert prober.pid is None
        first = read_header(prober, path)
        pid = child_pid(prober)
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: read_header(prober, path), range(20))) == [first] * 20
        assert prober.pid == pid


def test_same_failure_has_the_same_words_every_time(tmp_path: Path, prober: Prober) -> None:
    (tmp_path / "a.mp4").write_text("a text")
    failures = [read(prober, tmp_path / "a.mp4") for _ in range(3)]
    words = "Invalid data found when processing input; moov atom not found"
    assert failures == [ProbeFailure(Reason.UNREADABLE, words)] * 3


def test_killed_child_is_replaced(make_media: MakeMedia) -> None:
    path = make_media("tone.wav")
    with Prober() as prober:
        first = read_header(prober, path)
        killed = child_pid(prober)
        os.kill(killed, signal.SIGKILL)
        assert read_header(prober, path) == first
        assert prober.pid != killed


def test_hanging_child_is_a_timeout_and_is_replaced(
    make_media: MakeMedia, wait_until_gone: Callable[[int], bool]
) -> None:
    path = make_media("tone.wav")
    with Prober() as prober:
        first = read_header(prober, path)
        hanging = child_pid(prober)
        os.kill(hanging, signal.SIGSTOP)
        failure = read(prober, path, timeout_seconds=0.3)
        assert failure == ProbeFailure(Reason.TIMEOUT, "the header was not read within 0.3 s")
        assert wait_until_gone(hanging)
        assert read_header(prober, path) == first


def test_child_that_dies_of_every_file_makes_it_unreadable(
    make_media: MakeMedia, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_media("tone.wav")
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with Prober() as prober:
        failure = read(prober, path)
        assert prober.pid is None
    words = "the process that reads headers died with exit status 1"
    assert failure == ProbeFailure(Reason.UNREADABLE, words)


def test_answer_without_an_end_is_cut_off(
    tmp_path: Path, make_media: MakeMedia, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\nexec tr '\\000' 'x' < /dev/zero\n")
    endless.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(endless))
    with Prober() as prober:
        failure = read(prober, make_media("tone.wav"))
    assert isinstance(failure, ProbeFailure)
    assert failure.reason is Reason.UNREADABLE


def test_closed_prober_ends_its_child_and_may_be_used_again(
    make_media: MakeMedia, wait_until_gone: Callable[[int], bool]
) -> None:
    path = make_media("tone.wav")
    prober = Prober()
    first = read_header(prober, path)
    pid = child_pid(prober)
    prober.close()
    prober.close()
    assert wait_until_gone(pid)
    assert read_header(prober, path) == first
    prober.close()


def test_child_answers_a_line_a_request(
    make_media: MakeMedia, tmp_path: Path, prober: Prober
) -> None:
    """The same questions, once asked in this process, once in the other."""
    film = ("-c:v", "libx264", "-c:a", "aac")
    late = ("-af", "asetpts=PTS+1/TB", *film)
    locked = (*film, "-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "ab" * 16)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile tone.wav\n")
    (tmp_path / "text.mp4").write_text("a text")
    paths = [
        make_media("late.mkv", *late, picture_seconds=2.0),
        make_media("locked.mp4", *locked, "-encryption_kid", "cd" * 16, picture_seconds=2.0),
        make_media("bare.aac"),
        *(tmp_path / name for name in ("list.mp4", "text.mp4", "not there.mp4")),
    ]
    requests = [json.dumps({"url": f"file:{path}", "limit_seconds": 20}) for path in paths]
    answers = io.StringIO()
    headers_child.serve(
        requests, answers, ALLOWED_CONTAINERS, ALLOWED_DECODERS, json.dumps(DEEP_PROBE)
    )
    assert [parse_answer(line) for line in answers.getvalue().splitlines()] == [
        read(prober, path) for path in paths
    ]


def test_child_imports_nothing_but_pyav() -> None:
    tree = ast.parse(Path(headers_child.__file__).read_text(encoding="utf-8"))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    assert imported - sys.stdlib_module_names == {"av"}
