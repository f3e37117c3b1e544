from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from emi_model.errors import MediaToolError
from tasks.extraction.audio import extract
from tasks.extraction.decoding.messages import error_lines
from tasks.extraction.ffmpeg import ffmpeg_version, find_ffmpeg
from tasks.extraction.headers import Prober
from tasks.processes.bounded import STDERR_TAIL_BYTES, Finished

MakeMedia = Callable[..., Path]


class TestTool:
    def test_wheel_brings_ffmpeg(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("EMI_FFMPEG", raising=False)
        assert Path(find_ffmpeg()).is_file()
        assert any(char.isdigit() for char in ffmpeg_version())

    def test_environment_names_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wheel = find_ffmpeg()
        monkeypatch.setenv("PATH", str(Path(wheel).parent))
        monkeypatch.setenv("EMI_FFMPEG", Path(wheel).name)
        assert find_ffmpeg() == wheel

    def test_environment_names_none(
        self, make_media: MakeMedia, prober: Prober, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = make_media("tone.wav")
        monkeypatch.setenv("EMI_FFMPEG", "/no/such/ffmpeg")
        with pytest.raises(MediaToolError, match="EMI_FFMPEG='/no/such/ffmpeg'"):
            extract(path, max_seconds=None, prober=prober)

    def test_neither_environment_nor_wheel(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def find_none() -> str:
            raise RuntimeError

        monkeypatch.delenv("EMI_FFMPEG", raising=False)
        monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", find_none)
        with pytest.raises(MediaToolError, match="reinstall"):
            find_ffmpeg()

    def test_executable_that_cannot_be_started(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "ffmpeg").write_bytes(b"\x7fELF and no more")
        (tmp_path / "ffmpeg").chmod(0o755)
        monkeypatch.setenv("EMI_FFMPEG", str(tmp_path / "ffmpeg"))
        with pytest.raises(MediaToolError, match="cannot be started"):
            ffmpeg_version()

    def test_executable_that_is_no_ffmpeg(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EMI_FFMPEG", "true")
        with pytest.raises(MediaToolError, match="states no version"):
            ffmpeg_version()


class TestWords:
    def finished(self, stderr: str, *, is_cut: bool = False) -> Finished:
        return Finished((b"",), stderr, 1, timed_out=False, over_limit=False, stderr_is_cut=is_cut)

    def test_no_path_no_names_of_objects_no_repetition(self) -> None:
        line = "[in#0/mov @ 0x55f7a3f6ff30] [dec @ 0x7f00] bad header in file:/a b.mp4\n"
        found = error_lines(self.finished(f"{line}{line}[x @ 0x1] end\n"), "file:/a b.mp4")
        assert found == ["bad header in the clip", "end"]

    def test_half_a_line_is_left_out(self) -> None:
        tail = ("a whole line\n" * 700)[-STDERR_TAIL_BYTES:]
        assert not tail.startswith("a whole line")
        assert error_lines(self.finished(tail, is_cut=True), "file:/a") == ["a whole line"]
