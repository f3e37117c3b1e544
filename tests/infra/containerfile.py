"""What infra/Dockerfile says: its stages, and their instructions with variables filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "infra" / "Dockerfile"

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Instruction:
    """One instruction, its lines joined: ``RUN``, and what stands behind it."""

    name: str
    text: str


@dataclass
class Stage:
    """A stage: its name, what it builds on (an image or a stage), its own instructions."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def texts(self, name: str) -> list[str]:
        return [each.text for each in self.instructions if each.name == name]


def stages(arguments: Mapping[str, str] | None = None) -> dict[str, Stage]:
    """Return the stages by name, in order, with build arguments in place of their variables."""
    values: dict[str, str] = {}
    found: dict[str, Stage] = {}
    for instruction in _instructions(DOCKERFILE.read_text(encoding="utf-8")):
        text = _VARIABLE.sub(lambda match: values.get(match[1], match[0]), instruction.text)
        if instruction.name == "ARG":
            name, _, default = text.partition("=")
            values[name] = (arguments or {}).get(name, default)
        elif instruction.name == "FROM":
            base, _, name = text.partition(" AS ")
            found[name] = Stage(name, base)
        else:
            (*_, stage) = found.values()
            stage.instructions.append(Instruction(instruction.name, text))
    return found


def chain(target: str, known: Mapping[str, Stage]) -> list[Stage]:
    """Return a stage and those that it builds on, the first one first."""
    line = [known[target]]
    while line[0].base in known:
        line.insert(0, known[line[0].base])
    return line


def environment(target: str, known: Mapping[str, Stage]) -> dict[str, str]:
    """Return the variables that a stage sets, with those of what it builds on."""
    words = [
        word
        for stage in chain(target, known)
        for text in stage.texts("ENV")
        for word in text.split()
    ]
    return dict(word.split("=", 1) for word in words)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield Instruction(name, " ".join(rest.split()))
