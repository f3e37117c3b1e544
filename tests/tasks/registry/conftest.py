"""Checkpoints of a tiny model, and versions of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from tasks.registry.registry import list_versions, register
from tasks.registry.tracking import start_run
from tests.tiny import BACKBONE


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return three checkpoints of different weights."""
    folders = [tmp_path_factory.mktemp("models") / "tiny" for _ in range(3)]
    config = EmiConfig(backbone=BACKBONE)
    card = ModelCard("tiny", config.targets, backbone_licence="MIT", recipe="debug")
    for folder in folders:
        save_checkpoint(folder, EmiModel(config).eval(), card)
    return folders


@pytest.fixture
def registered(checkpoints: list[Path]) -> Callable[[int], list[str]]:
    """Return a function that registers so many versions of ``emi``; returns their hashes."""

    def make(count: int) -> list[str]:
        run = start_run("t1", {})
        for folder in checkpoints[:count]:
            register("emi", folder, run.run_id, {})
        return [str(version.sha256) for version in list_versions("emi")]

    return make
