"""The branch class of each modality."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from emi_model.architecture.branch import Branch
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


def branch_class(modality: str) -> type[Branch]:
    """Return a modality's branch class; that of ``text`` is looked for in ``text_branch.py`` here.

    Raises:
        ConfigError: the modality has none.
    """
    module = f"{__package__}.{modality}_branch"
    return find_entry(_BRANCHES, modality, module, "branch")
