"""Carries out infra/Dockerfile without a container engine, then starts what is inside.

    python -m tests.infra.build [cpu|gpu] [--build-arg NAME=VALUE] [--python FILE] [--keep FOLDER]

The Dockerfile's own commands run in clean virtual environments; folders of the image lie below a
temporary folder, and the commands' absolute paths are changed to match. What only an engine can do
is left out: the base image, user and group, layers. Where this runs as root, the entry points run
as the image's user, for whom nothing but its home and its temporary folder can be written; the
interpreter must be one that this user may run.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.infra.containerfile import ROOT, Stage, chain, environment, stages
from tests.infra.roles import check_roles

ENGINE_ONLY = ("groupadd",)
"""First words of commands that change the machine and not a folder."""

_ABSOLUTE = re.compile(r"(?<![\w/.])/(?:opt|src|var/lib)(?=[/\s:'\"]|$)")


@dataclass(frozen=True)
class Image:
    """An image's folders, below one of this machine.

    Attributes:
        target: the stage that is built.
        root: where its folders lie.
        known: the Dockerfile's stages.
    """

    target: str
    root: Path
    known: dict[str, Stage]

    def here(self, text: str, stage: str = "") -> str:
        """Change absolute paths; each chain of stages has a /src of its own."""
        (_, own, *_) = [*(each.name for each in chain(stage or self.target, self.known)), "none"]
        return _ABSOLUTE.sub(
            lambda match: str(self.root / (f"{own}/src" if match[0] == "/src" else match[0][1:])),
            text,
        )

    def variables(self, stage: str) -> dict[str, str]:
        """Return the environment of a stage, below this machine's own folders."""
        set_here = {
            name: self.here(value, stage) for name, value in environment(stage, self.known).items()
        }
        own = set_here["PATH"].partition(":")[0]
        set_here["PATH"] = f"{own}:{self.root}/usr/local/bin:/usr/bin:/bin"
        kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        return {**kept, "HOME": str(self.root), **set_here}


def build(image: Image) -> None:
    """Run the commands of every stage that the target needs."""
    done: set[str] = set()

    def carry_out(name: str) -> None:
        for stage in chain(name, image.known):
            if stage.name in done:
                continue
            done.add(stage.name)
            for text in stage.texts("COPY"):
                if text.startswith("--from="):
                    carry_out(text.removeprefix("--from=").split()[0])
            _stage(image, stage)

    carry_out(image.target)


def check_pins(image: Image) -> None:
    """Check that constraints.txt names all that was installed, but for what comes with PyTorch."""
    pip = image.here("/opt/emi/bin/pip")
    listed = subprocess.run([pip, "freeze", "--all"], capture_output=True, text=True, check=True)
    pinned = {_name(line) for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()}
    loose = {_name(line) for line in listed.stdout.splitlines()} - pinned - {"emi-workflow", "pip"}
    loose = {name for name in loose if not name.startswith(("nvidia-", "cuda-", "triton"))}
    if loose:
        raise SystemExit(f"installed, but not in constraints.txt: {', '.join(sorted(loose))}")


def _name(line: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"==| @ ", line)[0]).lower()


def _stage(image: Image, stage: Stage) -> None:
    folder = Path(image.here("/src", stage.name))
    for instruction in stage.instructions:
        if instruction.name == "COPY":
            _copy(image, instruction.text, folder)
        elif instruction.name == "RUN" and not instruction.text.startswith(ENGINE_ONLY):
            started = time.perf_counter()
            folder.mkdir(parents=True, exist_ok=True)
            command = image.here(instruction.text, stage.name)
            subprocess.run(
                command, shell=True, check=True, cwd=folder, env=image.variables(stage.name)
            )
            say(f"{time.perf_counter() - started:6.1f} s  {stage.name}: {instruction.text}")


def _copy(image: Image, text: str, folder: Path) -> None:
    words = [word for word in text.split() if not word.startswith("--")]
    (*sources, final) = words
    (origin,) = re.findall(r"--from=(\S+)", text) or [""]
    for source in sources:
        start = Path(image.here(source, origin)) if origin else ROOT / source
        end = Path(image.here(final)) if final.startswith("/") else folder / final
        if start == end:  # a virtual environment has one place, in whichever stage it is made
            continue
        if final.startswith("/usr/local/bin/"):
            end = image.root / final[1:]
        if final.endswith("/"):
            end = end / start.name
        end.parent.mkdir(parents=True, exist_ok=True)
        if start.is_dir():
            shutil.copytree(start, end, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(start, end)
        for mode in re.findall(r"--chmod=(\d+)", text):
            end.chmod(int(mode, base=8))


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Build a target and start its roles."""
    parser = argparse.ArgumentParser(prog="python -m tests.infra.build", description=__doc__)
    parser.add_argument("target", nargs="?", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--python", default=sys.executable, help="stands in for the base image's")
    parser.add_argument("--keep", type=Path, help="build into this folder, and keep it")
    options = parser.parse_args()
    arguments = dict(each.split("=", 1) for each in options.build_arg)
    with tempfile.TemporaryDirectory(prefix="emi-image-") as temporary:
        root = (options.keep or Path(temporary)).absolute()
        (root / "usr/local/bin").mkdir(parents=True)
        (root / "usr/local/bin/python").symlink_to(options.python)
        root.chmod(0o755)
        image = Image(options.target, root, stages(arguments))
        build(image)
        check_pins(image)
        check_roles(root, image.variables(options.target), say)


if __name__ == "__main__":
    main()
