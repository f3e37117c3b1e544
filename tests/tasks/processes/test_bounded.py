from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tasks.processes.bounded import MEMORY_LIMIT_BYTES, Finished, run_bounded, run_piped

Gone = Callable[[int], bool]

ROOT = Path(__file__).parents[3]
MEBIBYTE = 1024**2


def run_python(code: str, *, timeout_seconds: float = 20.0, max_stdout: int = MEBIBYTE) -> Finished:
    return run_bounded(
        [sys.executable, "-c", code], timeout_seconds=timeout_seconds, max_stdout_bytes=max_stdout
    )


def run_shell(script: str, *, timeout_seconds: float = 20.0, max_stdout: int = 1024) -> Finished:
    return run_bounded(
        ["/bin/sh", "-c", script], timeout_seconds=timeout_seconds, max_stdout_bytes=max_stdout
    )


def test_output_and_exit_status_are_returned() -> None:
    finished = run_shell("printf out; printf err >&2; exit 3")
    assert finished == Finished(
        outputs=(b"out",), stderr_tail="err", exit_status=3, timed_out=False, over_limit=False
    )


def test_end_by_a_signal_is_a_negative_exit_status() -> None:
    assert run_shell("kill -SEGV $$").exit_status == -signal.SIGSEGV


def test_stdin_is_empty() -> None:
    assert run_shell("cat; echo end").stdout == b"end\n"


def test_program_that_is_not_there_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        run_bounded(["/no/such/program"], timeout_seconds=1, max_stdout_bytes=1)


def test_floods_on_both_pipes_do_not_block_each_other() -> None:
    code = (
        "import sys\n"
        "for _ in range(300):\n"
        "    sys.stderr.write('e' * 10_000)\n"
        "    sys.stdout.write('o' * 10_000)\n"
        "sys.stderr.write('the end')\n"
    )
    finished = run_python(code, max_stdout=4 * MEBIBYTE)
    assert finished.exit_status == 0
    assert len(finished.stdout) == 3_000_000
    assert finished.stderr_tail.endswith("eee" + "the end")
    assert len(finished.stderr_tail) == 8 * 1024
    assert finished.stderr_is_cut


def test_stderr_may_be_dropped_altogether() -> None:
    finished = run_bounded(
        ["/bin/sh", "-c", "echo a >&2; echo b >&2"],
        timeout_seconds=20,
        max_stdout_bytes=1,
        stderr_tail_bytes=0,
    )
    assert finished.stderr_tail == ""


def test_exactly_the_limit_is_not_over_it() -> None:
    finished = run_shell("printf 12345678", max_stdout=8)
    assert (finished.stdout, finished.over_limit, finished.exit_status) == (b"12345678", False, 0)


def test_endless_output_is_stopped_at_the_limit() -> None:
    finished = run_shell("while :; do echo abcdefg; done", max_stdout=100_000)
    assert finished.over_limit
    assert not finished.timed_out
    assert finished.exit_status is None
    assert finished.stdout == (b"abcdefg\n" * 12_500)


def test_timeout_kills_the_whole_group(tmp_path: Path, wait_until_gone: Gone) -> None:
    pid_file = tmp_path / "pid"
    started = time.monotonic()
    finished = run_shell(
        f"printf early; sleep 60 & echo $! > '{pid_file}'; wait", timeout_seconds=1.0
    )
    assert time.monotonic() - started < 5
    assert finished.timed_out
    assert finished.exit_status is None
    assert finished.stdout == b"early"
    assert wait_until_gone(int(pid_file.read_text()))


def test_program_that_lives_on_after_closing_its_pipes_is_stopped() -> None:
    assert run_shell("exec >&- 2>&-; sleep 60", timeout_seconds=0.3).timed_out


def test_error_in_this_process_leaves_no_child_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until_gone: Gone
) -> None:
    pid_file = tmp_path / "pid"

    def interrupt() -> None:
        while not pid_file.exists() or not pid_file.read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr("selectors.DefaultSelector", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_shell(f"echo $$ > '{pid_file}'; echo go; sleep 60")
    assert wait_until_gone(int(pid_file.read_text()))


def test_writer_dies_with_its_killed_parent(tmp_path: Path, wait_until_gone: Gone) -> None:
    pid_file = tmp_path / "pid"
    script = f"echo $$ > '{pid_file}'; while echo x; do sleep 0.01; done"
    code = (
        "from tasks.processes.bounded import run_bounded\n"
        f"run_bounded(['/bin/sh', '-c', {script!r}], timeout_seconds=60, max_stdout_bytes=10**9)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as parent:
        while not pid_file.exists() or not pid_file.read_text():
            time.sleep(0.01)
        parent.kill()
    assert wait_until_gone(int(pid_file.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not enforce these limits")
def test_memory_and_core_files_are_limited_on_linux() -> None:
    finished = run_python(
        "import resource as r\n"
        "print(r.getrlimit(r.RLIMIT_AS)[0], r.getrlimit(r.RLIMIT_CORE)[0])\n"
        f"bytearray({MEMORY_LIMIT_BYTES})"
    )
    assert finished.stdout.split() == [str(MEMORY_LIMIT_BYTES).encode(), b"0"]
    assert finished.exit_status == 1
    assert "MemoryError" in finished.stderr_tail


class TestPipes:
    def run(
        self, script: str, *, num: int = 2, seconds: float = 20.0, limit: int = 1024
    ) -> Finished:
        """Run Python, for a shell knows no large file descriptors; the script knows two."""

        def args(pipes: Sequence[int]) -> list[str]:
            code = f"import os, sys\nfirst, second = map(int, sys.argv[1:3])\n{script}"
            return [sys.executable, "-c", code, *map(str, pipes)]

        return run_piped(
            args,
            num_pipes=num,
            timeout_seconds=seconds,
            max_pipe_bytes=limit,
            environment={"GIVEN": "this", "PATH": "/nowhere"},
        )

    def end(self, script: str, seconds: float = 20.0) -> tuple[tuple[bytes, ...], int | None]:
        finished = self.run(script, seconds=seconds)
        return finished.outputs, finished.exit_status

    def test_each_output_is_its_own(self) -> None:
        script = "os.write(second, b'two'); os.write(first, b'one'); print('lost'); sys.exit(3)"
        assert self.end(script) == ((b"one", b"two"), 3)

    def test_floods_do_not_block_each_other(self) -> None:
        script = (
            "for _ in range(20):\n"
            "    for pipe in map(int, sys.argv[1:]): os.write(pipe, b'x' * 100_000)"
        )
        found = self.run(script, num=5, limit=2_000_000)
        assert found.exit_status == 0
        assert [len(output) for output in found.outputs] == [2_000_000] * 5

    def test_one_output_over_its_limit_ends_the_program(self) -> None:
        script = "os.write(first, b'whole')\nwhile True: os.write(second, b'x' * 1000)"
        assert self.end(script) == ((b"whole", b"x" * 1024), None)

    def test_end_by_a_signal(self) -> None:
        script = "os.write(first, b'a'); os.kill(os.getpid(), 11)"
        assert self.end(script) == ((b"a", b""), -signal.SIGSEGV)

    def test_timeout_kills_the_whole_group(self, tmp_path: Path, wait_until_gone: Gone) -> None:
        pid_file = tmp_path / "pid"
        script = (
            "import subprocess, time\nos.write(first, b'early')\n"
            "child = subprocess.Popen(['/bin/sleep', '60'], pass_fds=[second])\n"
            f"open({str(pid_file)!r}, 'w').write(str(child.pid))\ntime.sleep(60)"
        )
        assert self.end(script, seconds=2.0) == ((b"early", b""), None)
        assert wait_until_gone(int(pid_file.read_text()))

    def test_what_the_environment_says_goes_before_what_is_added(self) -> None:
        script = (
            "os.write(first, os.environ['GIVEN'].encode())\n"
            "os.write(second, os.environ['PATH'].encode())"
        )
        assert self.run(script).outputs == (b"this", os.environ["PATH"].encode())

    def test_no_descriptor_is_left_open(self) -> None:
        before = os.dup(0)
        os.close(before)
        self.run("os.write(first, b'one')")
        with pytest.raises(FileNotFoundError):
            run_piped(
                lambda _: ["/no/such/program"],
                num_pipes=4,
                timeout_seconds=1,
                max_pipe_bytes=1,
                environment={},
            )
        after = os.dup(0)
        os.close(after)
        assert after == before

    @pytest.mark.skipif(sys.platform != "linux", reason="macOS does not enforce these limits")
    def test_memory_is_limited(self) -> None:
        script = "import resource as r\nos.write(first, b'%d' % r.getrlimit(r.RLIMIT_AS)[0])"
        assert self.run(script).outputs[0] == str(MEMORY_LIMIT_BYTES).encode()
