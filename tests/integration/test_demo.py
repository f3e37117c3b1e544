"""`emi demo`, whole: from the wheel alone, in an environment of its own, in an empty folder.

As `pipx install` or `uv tool install` leave it, but for the libraries: those are lent by the
environment that runs the tests.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("emi_model", "flows", "tasks")
FILES = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture
def wheel(tmp_path):
    """The wheel that `make wheel` builds, from a copy of the sources."""
    source = tmp_path / "source"
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    pip("wheel", *options, "--wheel-dir", tmp_path / "dist", source)
    (built,) = (tmp_path / "dist").iterdir()
    shutil.rmtree(source)
    return built


@pytest.fixture
def installed(wheel, tmp_path):
    """The folder of the programs of an environment that holds the wheel."""
    home = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    (packages,) = home.glob("lib/python3*/site-packages")
    (packages / "lent.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    options = ["--quiet", "--no-deps", "--no-index", "--force-reinstall"]
    pip("--python", home / "bin" / "python", "install", *options, wheel)
    return home / "bin"


@pytest.fixture
def run(installed, environment, tmp_path):
    """Run one of these programs in a folder that is empty at first."""
    empty = tmp_path / "empty"
    empty.mkdir()
    own = {name: value for name, value in environment.items() if name != "PYTHONPATH"}

    def started(program, *arguments, **extra):
        return subprocess.run(
            [installed / program, *arguments],
            cwd=empty,
            env={**own, **extra},
            capture_output=True,
            text=True,
            timeout=480,
        )

    return started


def pip(*arguments):
    subprocess.run([sys.executable, "-m", "pip", *map(str, arguments)], check=True)


def test_the_demo_learns_and_carries_on(run, installed, served, tmp_path):
    code = (
        f"import {', '.join(PACKAGES)}\nfor one in ({', '.join(PACKAGES)}): print(one.__path__[0])"
    )
    folders = run("python", "-c", code).stdout.splitlines()
    assert [Path(folder).name for folder in folders] == list(PACKAGES)
    assert all(Path(folder).is_relative_to(installed.parent) for folder in folders)
    assert all((Path(folder) / "py.typed").is_file() for folder in folders)

    first = run("emi", "demo")
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "empty" / "demo" / "model").is_dir()
    out = first.stdout
    assert "Pearson on 40 clips of speakers held out" in out
    (mean,) = re.findall(r"mean\s*│\s*([0-9.]+)", out)
    assert float(mean) >= 0.7
    for reason in ("unreadable", "refused", "no_audio_track", "too_short"):
        assert reason in out
    for question in ("Which clips sound most joyful", "How do the folders", "In which second"):
        assert question in out

    again = run("emi", "demo", **served)
    assert again.returncode == 0, again.stderr
    assert again.stdout == out
