"""infra/Dockerfile, as far as reading it tells; `tests.infra.build` carries it out."""

import fnmatch
import importlib
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.infra.containerfile import DOCKERFILE, ROOT, chain, environment, stages
from tests.infra.pinned import is_pinned

STAGES = stages()
TARGETS = ("cpu", "gpu")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def commands():
    return [text for stage in STAGES.values() for text in stage.texts("RUN")]


def copied():
    """What is copied from the build context."""
    lines = [text for stage in STAGES.values() for text in stage.texts("COPY")]
    return [
        word
        for text in lines
        if "--from" not in text
        for word in text.split()[:-1]
        if not word.startswith("--")
    ]


def test_both_targets_are_built_on_one_pinned_image():
    assert {chain(target, STAGES)[0].base for target in TARGETS} == {STAGES["base"].base}
    assert is_pinned(STAGES["base"].base)
    assert all(stage.base in STAGES for stage in STAGES.values() if stage.name != "base")


@pytest.mark.parametrize("target", TARGETS)
def test_the_image_runs_as_a_user_who_may_write_to_two_folders(target):
    users = [text for stage in chain(target, STAGES) for text in stage.texts("USER")]
    assert users == ["10001:10001"]
    own = STAGES["base"].texts("RUN")[0]
    assert "--uid 10001" in own
    assert "--gid 10001" in own
    folders = {
        name: value
        for name, value in environment(target, STAGES).items()
        if re.fullmatch(r"HOME|TMPDIR|\w+(_HOME|_DIRECTORY|CONFIGDIR|_SCRATCH)", name)
    }
    assert len(folders) >= 8
    assert all(re.match(r"/tmp$|/var/lib/emi(/|$)", value) for value in folders.values()), folders


def test_what_is_copied_is_there_and_reaches_the_engine():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    assert [name for name in copied() if not (ROOT / name).exists()] == []
    assert sorted(set(copied())) == sorted(let_in)


def test_every_package_of_the_wheel_is_copied():
    find = PROJECT["tool"]["setuptools"]["packages"]["find"]
    packages = {name.removesuffix("*") for name in find["include"]}
    folders = [Path(place, name) for place in find["where"] for name in packages]
    there = [folder for folder in folders if (ROOT / folder).is_dir()]
    assert {folder.name for folder in there} == packages
    missing = [at for at in there if not {str(at), str(at.parent)} & set(copied())]
    assert missing == []
    assert {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]} <= set(copied())


def test_everything_installed_is_pinned():
    installs = [line for text in commands() for line in text.split("&&") if " install " in line]
    assert len([line for line in installs if "pip install" in line]) == 5
    for line in installs:
        if "pip install" in line:
            words = shlex.split(line)[shlex.split(line).index("install") + 1 :]
            pinned = all("==" in word for word in words if not word.startswith("-"))
            assert pinned or "--constraint constraints.txt" in line, line


def test_only_torch_comes_from_another_index():
    (line,) = (text for text in commands() if "--index-url" in text)
    assert "--no-deps" in line
    assert shlex.split(line)[-1] == "torch"
    assert "--extra-index-url" not in DOCKERFILE.read_text(encoding="utf-8")
    assert "--index-url" not in " ".join(
        text for stage in chain("install-gpu", STAGES) for text in stage.texts("RUN")
    )


def test_nothing_is_fetched_but_python_packages():
    assert [text for stage in STAGES.values() for text in stage.texts("ADD")] == []
    text = " ".join(commands())
    assert re.search(r"\b(apt|apt-get|curl|wget|git|huggingface)\b", text) is None


@pytest.mark.parametrize("stage", ["install-cpu", "install-gpu"])
def test_the_build_ends_with_a_look_at_what_was_installed(stage):
    check = STAGES[stage].texts("RUN")[-1]
    assert "pip check" in check
    (module, name) = re.findall(r"from ([\w.]+) import (\w+)", check)[0]
    assert callable(getattr(importlib.import_module(module), name))
    assert "emi" in PROJECT["project"]["scripts"]
    assert "emi --version" in check


def test_the_driver_says_what_it_misses():
    script = str(ROOT / "infra" / "driver.sh")
    bare = {"PATH": os.environ["PATH"]}
    subprocess.run(["bash", "-n", script], check=True)
    none = subprocess.run(["bash", script], env=bare, capture_output=True, text=True, check=False)
    assert none.returncode == 2
    assert "found no command" in none.stderr
    nowhere = subprocess.run(
        ["bash", script, "true"], env=bare, capture_output=True, text=True, check=False
    )
    assert nowhere.returncode != 0
    assert "HOST:PORT" in nowhere.stderr


def test_secrets_reach_neither_the_repository_nor_the_image():
    for name in (".gitignore", ".dockerignore"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        assert any(fnmatch.fnmatch("infra/.env", line.strip("/")) for line in lines), name
