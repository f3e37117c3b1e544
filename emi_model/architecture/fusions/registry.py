"""The class of each fusion, by the name that a config gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pkgutil import walk_packages
from typing import TypeVar

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import FUSION_NAME, Fused, Fusion
from emi_model.modalities import add_entry, find_entry

PAPER = "paper"
"""The fusion of a config that names none, that of Hallmen et al. 2024."""

_FUSIONS: dict[str, type[Fusion]] = {}

SomeFusion = TypeVar("SomeFusion", bound=Fusion)


def register_fusion(name: str) -> Callable[[type[SomeFusion]], type[SomeFusion]]:
    """Decorator: register a fusion under the name that stands in ``EmiConfig.fusion``.

    Modules outside this project are listed in ``EMI_PLUGINS``, see `emi_model.modalities`.

    Raises:
        ConfigError: the name is taken.
    """

    def registered(fusion: type[SomeFusion]) -> type[SomeFusion]:
        found: type[Fusion] = fusion
        add_entry(_FUSIONS, name, found)
        return fusion

    return registered


def fusion_class(config: EmiConfig) -> type[Fusion]:
    """Return the class of a config's fusion.

    That of ``concat`` is looked for in ``concat.py``, here and in the folders below.

    Raises:
        ConfigError: there is none of that name.
    """
    name = PAPER if config.fusion is None else str(config.fusion[FUSION_NAME])
    modules = _modules()
    module = modules.get(name, f"{__package__}.{name}")
    return find_entry(_FUSIONS, name, module, "fusion", modules.values())


def fusion_names() -> list[str]:
    """Return the names of all fusions of this project, and of those registered by others."""
    for module in _modules().values():
        import_module(module)
    return sorted(_FUSIONS)


def build_fusion(config: EmiConfig, branches: Mapping[str, Fused]) -> Fusion:
    """Return the fusion of a config with fresh weights.

    Raises:
        ConfigError: there is none of that name, or its arguments or branches do not fit it.
    """
    build: Callable[[EmiConfig, Mapping[str, Fused]], Fusion] = fusion_class(config)
    return build(config, branches)


def _modules() -> dict[str, str]:
    """Return the full name of each module here and in the folders below, by its last part."""
    found = walk_packages(import_module(str(__package__)).__path__, f"{__package__}.")
    return {one.name.rpartition(".")[2]: one.name for one in found if not one.ispkg}
