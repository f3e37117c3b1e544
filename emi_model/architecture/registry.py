"""The branch class of each modality."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from emi_model.architecture.branch import Branch
from emi_model.errors import ConfigError
from emi_model.modalities import add_entry, find_entry

_BRANCHES: dict[str, type[Branch]] = {}

SomeBranch = TypeVar("SomeBranch", bound=Branch)


def register_branch(modality: str) -> Callable[[type[SomeBranch]], type[SomeBranch]]:
    """Decorator: register a branch class under its modality.

    The class is called with the model's `EmiConfig` and the branch's arguments in it. Modules
    outside this project are listed in ``EMI_PLUGINS``, see `emi_model.modalities`.

    Raises:
        ConfigError: the modality has a branch already.
    """

    def registered(branch: type[SomeBranch]) -> type[SomeBranch]:
        found: type[Branch] = branch
        add_entry(_BRANCHES, modality, found)
        return branch

    return registered


def branch_class(modality: str, kind: str | None = None) -> type[Branch]:
    """Return a modality's branch class; that of ``text`` is looked for in ``text_branch.py`` here.

    Args:
        modality: its name.
        kind: name under which the class is registered; None: the modality's. With a kind, a
            modality may have any name, as ``pulse`` of the kind ``series``.

    Raises:
        ConfigError: there is none, or the name cannot be that of a modality.
    """
    if kind is not None:
        check_modality(modality)
    name = kind or modality
    return find_entry(_BRANCHES, name, f"{__package__}.{name}_branch", "branch")


def check_modality(name: str) -> None:
    """Check that a name can be that of a modality.

    Raises:
        ConfigError: it is no lower-case identifier, or means something else to PyTorch.
    """
    taken = hasattr(nn.ModuleDict, name) or hasattr(nn.ParameterDict, name)
    if not name.isidentifier() or name != name.lower() or taken:
        raise ConfigError(
            f"modality is {name!r}, expected a lower-case identifier"
            + (" that is not one of PyTorch's own: choose another name" if taken else "")
        )
