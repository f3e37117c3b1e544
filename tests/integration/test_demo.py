"""`emi demo`, whole: from the wheel alone, in an environment of its own, in a stranger's folder.

As `pipx install` or `uv tool install` leave it, but for the libraries: those are lent by the
environment that runs the tests.
"""

import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("emi_model", "flows", "tasks")
FILES = ("pyproject.toml", "README.md", "LICENSE")

CANARY = "import pathlib\npathlib.Path({fallen!r}).open('a').write(__file__ + '\\n')\n"
"""What a module does that is imported where it should not be; then it lacks all that is wanted."""

IMPORTED = {
    *sys.stdlib_module_names,
    *packages_distributions(),
    *(*PACKAGES, "sitecustomize", "usercustomize", "canary"),
}
"""All names that a process could import here."""

SETTINGS = {
    ".env": "PREFECT_API_URL=http://127.0.0.1:9/api\nPREFECT_LOGGING_LEVEL=CRITICAL\n",
    "prefect.toml": '[api]\nurl = "http://127.0.0.1:9/api"\n',
    "pyproject.toml": '[tool.prefect]\napi.url = "http://127.0.0.1:9/api"\n',
    "matplotlibrc": "backend: module://canary\nnonsense\n",
}


@pytest.fixture
def wheel(tmp_path):
    """The wheel that `make wheel` builds, from a copy of the sources."""
    source = tmp_path / "source"
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "infra/command", source / "infra/command", ignore=ignored)
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
def fallen(tmp_path):
    """A file that lists the modules of the stranger's folder that some process imported."""
    return tmp_path / "imported.txt"


@pytest.fixture
def strange(tmp_path, fallen):
    """A folder with modules of all names that processes import, and with all files of settings."""
    folder = tmp_path / "strange"
    folder.mkdir()
    for name in filter(str.isidentifier, IMPORTED):
        (folder / f"{name}.py").write_text(CANARY.format(fallen=str(fallen)))
    for name, content in SETTINGS.items():
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def hostile(tmp_path, fallen):
    """The environment of a company's machine, without a home, where others have our names, too."""
    for name in ("path", "long" * 30):
        (tmp_path / name).mkdir()
    for name in PACKAGES:
        (tmp_path / "path" / f"{name}.py").write_text(CANARY.format(fallen=str(fallen)))
    proxies = dict.fromkeys(("http_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {
        **proxies,
        "ALL_PROXY": "socks5://127.0.0.1:9",
        "HOME": "/dev/null/home",
        "PYTHONPATH": str(tmp_path / "path"),
        "TMPDIR": str(tmp_path / ("long" * 30)),
    }


@pytest.fixture
def run(installed, environment, strange):
    """Run one of these programs in the stranger's folder."""
    own = {
        name: value
        for name, value in environment.items()
        if name not in ("PYTHONPATH", "PREFECT_HOME", "NO_PROXY", "no_proxy")
    }

    def started(program, *arguments, **extra):
        return subprocess.run(
            [installed / program, *arguments],
            cwd=strange,
            env={**own, **extra},
            capture_output=True,
            text=True,
            timeout=480,
        )

    return started


def pip(*arguments):
    subprocess.run([sys.executable, "-m", "pip", *map(str, arguments)], check=True)


def test_the_demo_learns_and_carries_on(run, installed, served, strange, hostile, fallen):
    code = (
        f"import {', '.join(PACKAGES)}\nfor one in ({', '.join(PACKAGES)}): print(one.__path__[0])"
    )
    folders = run("python", "-P", "-c", code).stdout.splitlines()
    assert [Path(folder).name for folder in folders] == list(PACKAGES)
    assert all(Path(folder).is_relative_to(installed.parent) for folder in folders)
    assert all((Path(folder) / "py.typed").is_file() for folder in folders)

    before = set(strange.iterdir())
    first = run("emi", "demo", **hostile)
    assert first.returncode == 0, first.stderr
    assert not fallen.exists(), fallen.read_text()
    assert set(strange.iterdir()) - before == {strange / "demo"}
    assert (strange / "demo" / "model").is_dir()
    assert "recorded by" not in first.stderr
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
    assert f"emi: recorded by the server {served['PREFECT_API_URL']}\n" in again.stderr
    assert again.stdout == out
