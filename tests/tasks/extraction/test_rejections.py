from __future__ import annotations

import os
import random
import shutil
import socket
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.extraction.audio import Extraction, extract
from tasks.extraction.decoding.commands import TrackOfFile
from tasks.extraction.decoding.decode import decode
from tasks.extraction.headers import Prober
from tasks.schema.outcomes import Reason, Rejection

MakeMedia = Callable[..., Path]
Take = Callable[..., Extraction]
Reject = Callable[[Path], Rejection]

FILM = ("-c:v", "libx264", "-c:a", "aac")
KEY = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb")
KEY_ID = ("-encryption_kid", "a7e61c373e219033c21091fa607bf3b8")


class TestReasons:
    @pytest.mark.parametrize("name", ["not there.mp4", "tone.wav/below a file.mp4", "dangling"])
    def test_missing(
        self, name: str, make_media: MakeMedia, tmp_path: Path, reject: Reject
    ) -> None:
        make_media("tone.wav")
        (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
        assert reject(tmp_path / name).reason is Reason.MISSING

    def test_unreadable(self, make_media: MakeMedia, tmp_path: Path, reject: Reject) -> None:
        (tmp_path / "empty.mp4").touch()
        (tmp_path / "text.mp4").write_text("a text")
        (tmp_path / "noise.mp4").write_bytes(random.Random(0).randbytes(20_000))
        (tmp_path / "folder.mp4").mkdir()
        (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
        os.mkfifo(tmp_path / "pipe.mp4")
        indexless = make_media("indexless.mp4", *FILM, picture_seconds=1.0)
        os.truncate(indexless, indexless.stat().st_size // 2)
        names = [
            "empty",
            "text",
            "noise",
            "folder",
            "loop",
            "pipe",
            "indexless",
            "n\0ul",
            "n" * 300,
        ]
        for name in names:
            rejection = reject(tmp_path / f"{name}.mp4")
            assert rejection.reason is Reason.UNREADABLE, name

    def test_no_audio_track(self, make_media: MakeMedia, reject: Reject) -> None:
        rejection = reject(make_media("mute.mp4", *FILM, "-an", picture_seconds=1.0))
        assert rejection.reason is Reason.NO_AUDIO_TRACK
        assert (rejection.track, rejection.num_tracks) == (None, 0)

    def test_codec_unknown_to_libav(self, make_media: MakeMedia, reject: Reject) -> None:
        path = make_media("ac4.mp4", "-c:a", "ac3")
        path.write_bytes(path.read_bytes().replace(b"ac-3", b"ac-4"))
        rejection = reject(path)
        assert rejection.reason is Reason.UNSUPPORTED_CODEC
        assert rejection.detail == "Decoding requested, but no decoder found for: ac4"
        assert (rejection.codec, rejection.track, rejection.num_tracks) == (None, 1, 1)

    def test_codec_that_is_not_allowed(self, make_media: MakeMedia, reject: Reject) -> None:
        rejection = reject(make_media("yamaha.wav", "-c:a", "adpcm_yamaha"))
        assert rejection.reason is Reason.UNSUPPORTED_CODEC
        assert rejection.detail == "adpcm_yamaha is not on the list of allowed decoders"
        assert (rejection.codec, rejection.sampling_rate) == ("adpcm_yamaha", 16_000)

    def test_encrypted_film(self, make_media: MakeMedia, reject: Reject) -> None:
        path = make_media("locked.mp4", *FILM, *KEY, *KEY_ID, picture_seconds=1.0)
        rejection = reject(path)
        assert rejection.reason is Reason.ENCRYPTED
        assert rejection.detail == "the aac track is encrypted"
        assert (rejection.codec, rejection.declared_seconds) == ("aac", 1.0)

    def test_encrypted_matroska(self, make_media: MakeMedia, reject: Reject) -> None:
        path = make_media(
            "locked.webm", "-c:a", "libopus", "-metadata:s:a:0", "title=placeholder-14"
        )
        # No muxer at hand encrypts: where the track's name stood (ID, length, 14 letters), it is
        # now said that its content is encrypted, with key 0xAB.
        name = b"\x53\x6e\x8e" + b"placeholder-14"
        encrypted = bytes.fromhex("6d808e 62408b 50338101 503584 47e281ab")
        content = path.read_bytes()
        assert content.count(name) == 1
        assert len(name) == len(encrypted)
        path.write_bytes(content.replace(name, encrypted))
        assert reject(path).reason is Reason.ENCRYPTED

    def test_no_samples(self, tmp_path: Path, reject: Reject) -> None:
        with wave.open(str(tmp_path / "header.wav"), "wb") as sound:
            sound.setparams((1, 2, 44_100, 0, "NONE", ""))
        rejection = reject(tmp_path / "header.wav")
        assert rejection.reason is Reason.NO_SAMPLES
        assert rejection.detail == "no message, exit status 0"
        assert (rejection.codec, rejection.sampling_rate) == ("pcm_s16le", 44_100)

    def test_timeout_of_the_header(self, make_media: MakeMedia, prober: Prober) -> None:
        found = extract(make_media("tone.wav"), max_seconds=1, timeout_seconds=0.0, prober=prober)
        assert isinstance(found, Rejection)
        assert found.reason is Reason.TIMEOUT

    def test_timeout_of_ffmpeg_leaves_no_process(
        self,
        make_media: MakeMedia,
        tmp_path: Path,
        take: Take,
        prober: Prober,
        monkeypatch: pytest.MonkeyPatch,
        wait_until_gone: Callable[[int], bool],
    ) -> None:
        path = make_media("tone.wav")
        take(path)  # starts the reader of headers outside the time limit below
        slow = tmp_path / "slow-ffmpeg"
        slow.write_text('#!/bin/sh\nsleep 60 &\necho $! > "$0.pid"\nhead -c 100 /dev/zero\nwait\n')
        slow.chmod(0o755)
        monkeypatch.setenv("EMI_FFMPEG", str(slow))
        found = extract(path, max_seconds=12.0, timeout_seconds=1.5, prober=prober)
        assert isinstance(found, Rejection)
        assert found.reason is Reason.TIMEOUT
        assert found.detail == "stopped at the time limit: no message"
        assert wait_until_gone(int((tmp_path / "slow-ffmpeg.pid").read_text()))


class TestFormats:
    def test_image(self, make_media: MakeMedia, reject: Reject) -> None:
        image = make_media("image.png", "-map", "1:v", "-frames:v", "1", picture_seconds=1.0)
        rejection = reject(image.rename(image.with_suffix(".mp4")))
        assert rejection.reason is Reason.UNSUPPORTED_FORMAT  # one picture opens nothing else
        assert rejection.detail == "png_pipe is not on the list of allowed containers"


class TestRefused:
    @pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ""])
    @pytest.mark.parametrize("kind", ["hls", "concat", "sdp"])
    def test_playlist_opens_nothing(
        self, kind: str, suffix: str, make_media: MakeMedia, tmp_path: Path, reject: Reject
    ) -> None:
        tone = make_media("tone.wav")
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setblocking(False)
            port = server.getsockname()[1]
            entries = [f"http://127.0.0.1:{port}/a.ts", f"file:{tone}", tone.name]
            playlist = tmp_path / f"list{suffix}"
            playlist.write_text(write_playlist(kind, entries, port))
            rejection = reject(playlist)
            assert rejection.reason is Reason.REFUSED
            assert rejection.detail == f"{kind} is not on the list of allowed containers"
            # ffmpeg itself would not follow it either.
            track = TrackOfFile(f"file:{playlist}", 0)
            decoded = decode(track, num_samples=16_000, timeout_seconds=20.0)
            assert decoded.sound.waveform.size == 0
            with pytest.raises(BlockingIOError):
                server.accept()


def write_playlist(kind: str, entries: list[str], port: int) -> str:
    if kind == "hls":
        parts = "".join(f"#EXTINF:1,\n{entry}\n" for entry in entries)
        return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{parts}#EXT-X-ENDLIST\n"
    if kind == "concat":
        return "ffconcat version 1.0\n" + "".join(f"file '{entry}'\n" for entry in entries)
    return (
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n"
    )


NAMES = [
    "-y.mp4",
    "-i",
    "http:tone.wav",
    "concat:a|b.wav",
    "two\nlines\t.wav",
    "Gespräch ñ 会話 🎤.wav",
    "100%d%20%s.wav",
    "quote'\" $(x) ;&.wav",
    " [in] ,=\\.wav ",
]


class TestNames:
    @pytest.mark.parametrize("name", NAMES)
    def test_any_name_is_only_a_name(
        self, name: str, make_media: MakeMedia, tmp_path: Path, take: Take, reject: Reject
    ) -> None:
        path = tmp_path / name
        shutil.move(make_media("tone.wav"), path)
        assert take(path).waveform.size == 16_000
        path.write_bytes(b"\0" * 100)
        assert reject(path).reason is Reason.UNREADABLE

    @pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take UTF-8 only")
    def test_name_that_is_not_utf8(
        self, make_media: MakeMedia, tmp_path: Path, take: Take, reject: Reject
    ) -> None:
        path = tmp_path / os.fsdecode(b"caf\xe9.wav")
        shutil.move(make_media("tone.wav"), path)
        assert take(path).waveform.size == 16_000
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 2, 44_100, 0, "NONE", ""))
        assert reject(path).reason is Reason.NO_SAMPLES

    def test_relative_path(
        self, make_media: MakeMedia, take: Take, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(make_media("-t.wav").parent)
        assert take(Path("-t.wav")).waveform.size == 16_000
