from __future__ import annotations

import json
import socketserver
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import huggingface_hub
import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save_file

from emi_model.architecture.branch import Padded
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.load import load_model
from emi_model.checkpoints.resolve import read_metadata, resolve
from emi_model.errors import CheckpointError, ModelNotFound
from emi_model.reference import ZERO_SIGNAL_VAD, check_backbone

PUBLIC_ID = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Cut the hub off, as HF_HUB_OFFLINE=1 does at start-up, and give it an empty cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def vad_model(tiny_model: Callable[..., EmiModel]) -> EmiModel:
    return tiny_model(targets=())


def write_public(folder: Path, model: EmiModel) -> Path:
    """Write a VAD model in the public layout, positional convolution in the old spelling."""
    folder.mkdir(parents=True)
    names = {
        "backbone.": "",
        "vad_head.": "classifier.",
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }
    state = {}
    for name, weight in model.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        state[name] = weight
    save_file(state, folder / "model.safetensors")
    labels = {"0": "arousal", "1": "dominance", "2": "valence"}
    config = {"model_type": "wav2vec2", "id2label": labels, **model.config.backbone}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_ours(folder: Path, model: EmiModel, **fields: Any) -> Path:
    save_checkpoint(folder, model, ModelCard("tiny", model.config.targets, **fields))
    return folder


def expect_zero_signal(model: EmiModel, off_by: float = 0.0) -> EmiModel:
    """Make a model whose head says the card's values of whatever it hears."""
    assert model.audio.vad_head is not None
    with torch.no_grad():
        model.audio.vad_head.out_proj.weight.zero_()
        model.audio.vad_head.out_proj.bias.copy_(torch.tensor(ZERO_SIGNAL_VAD))
        model.audio.vad_head.out_proj.bias[1] += off_by
    return model


def test_both_layouts_load_from_a_folder(
    tmp_path: Path, tiny_model: Callable[..., EmiModel], vad_model: EmiModel
) -> None:
    ours = load_model(str(write_ours(tmp_path / "ours", tiny_model(), recipe="paper")))
    assert (ours.card.name, ours.card.recipe, ours.model.config.num_targets) == ("tiny", "paper", 6)
    public = load_model(str(write_public(tmp_path / "public", vad_model)))
    assert (public.card.name, public.model.config.num_targets) == ("public", 0)


def test_papers_are_those_of_the_loaded_model(
    tmp_path: Path, tiny_model: Callable[..., EmiModel], vad_model: EmiModel
) -> None:
    folders = [
        write_ours(tmp_path / "ours", tiny_model(lstm=False), data="some"),
        write_public(tmp_path / "public", vad_model),
    ]
    for folder in map(str, folders):
        metadata, loaded = read_metadata(folder), load_model(folder)
        assert metadata.config == loaded.model.config
        assert (metadata.card, metadata.sha256) == (loaded.card, loaded.sha256)
        assert load_model(folder, metadata).sha256 == metadata.sha256


def test_a_public_model_without_weights_has_no_papers(tmp_path: Path, vad_model: EmiModel) -> None:
    folder = write_public(tmp_path / "public", vad_model)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no weights"):
        read_metadata(str(folder))


def test_a_folder_is_named_by_its_own_name(
    tmp_path: Path, vad_model: EmiModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_public(tmp_path / "public", vad_model))
    assert load_model(".").card.name == "public"


def test_a_hub_model_that_was_fetched_before_loads_offline(
    offline: Path, vad_model: EmiModel
) -> None:
    cached = offline / ("models--" + PUBLIC_ID.replace("/", "--"))
    commit = "0" * 40
    snapshot = write_public(cached / "snapshots" / commit, vad_model)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    assert resolve(PUBLIC_ID) == snapshot
    loaded = load_model(PUBLIC_ID)
    assert (loaded.card.name, loaded.card.backbone) == (PUBLIC_ID, PUBLIC_ID)
    assert loaded.card.backbone_licence == "CC-BY-NC-SA-4.0"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("nowhere", "no such folder, and no hub id"),
        ("./nowhere", "no such folder, and no hub id"),
        ("/no/where", "no such folder, and no hub id"),
        ("/nowhere", "no such folder, and no hub id"),
        ("../no/where", "no such folder, and no hub id"),
        ("nobody/nothing", "the hub did not give it"),
        ("not an/id?", "the hub did not give it"),
    ],
)
def test_what_names_nothing_is_said_in_one_line(reference: str, said: str) -> None:
    with pytest.raises(ModelNotFound, match=said) as caught:
        load_model(reference)
    assert str(caught.value).startswith(reference)
    assert "\n" not in str(caught.value)


def test_a_folder_without_config_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name in ("empty", "file"):
        with pytest.raises(ModelNotFound, match=r"holds no config\.json"):
            load_model(str(tmp_path / name))


def test_a_damaged_config_is_no_missing_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="JSON") as caught:
        load_model(str(tmp_path))
    assert not isinstance(caught.value, ModelNotFound)


@pytest.mark.parametrize("write", [write_public, write_ours])
def test_check_passes_a_model_that_says_what_the_card_says(
    tmp_path: Path, vad_model: EmiModel, write: Callable[[Path, EmiModel], Path]
) -> None:
    check = check_backbone(str(write(tmp_path / "x", expect_zero_signal(vad_model, 9e-4))))
    assert check.passed
    assert check.expected == ZERO_SIGNAL_VAD
    assert check.found == pytest.approx(ZERO_SIGNAL_VAD, abs=1e-3)


def test_check_fails_a_model_off_by_more_than_a_thousandth(
    tmp_path: Path, vad_model: EmiModel
) -> None:
    folder = write_public(tmp_path / "x", expect_zero_signal(vad_model, 1.1e-3))
    check = check_backbone(str(folder))
    assert not check.passed
    assert check.found[1] == pytest.approx(ZERO_SIGNAL_VAD[1] + 1.1e-3, abs=1e-6)


def test_check_shows_what_other_weights_say(tmp_path: Path, vad_model: EmiModel) -> None:
    check = check_backbone(str(write_public(tmp_path / "x", vad_model)))
    assert not check.passed
    with torch.inference_mode():
        zeros = Padded(torch.zeros(1, 16_000), torch.tensor([16_000]))
        expected = vad_model({"audio": zeros}).vad_of_mean[0]
    assert check.found == pytest.approx(tuple(expected.tolist()), abs=1e-5)


def test_check_needs_a_vad_head(tmp_path: Path, tiny_model: Callable[..., EmiModel]) -> None:
    folder = write_ours(tmp_path / "x", tiny_model(vad_head=False))
    with pytest.raises(CheckpointError, match="no VAD head"):
        check_backbone(str(folder))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "disconnected"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nLog in at", "Expecting value"),
    ],
)
def test_a_portal_or_a_broken_connection_in_place_of_the_hub_is_one_line(
    answer: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Portal(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            self.request.sendall(answer)

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    huggingface_hub.close_session()
    with socketserver.TCPServer(("127.0.0.1", 0), Portal) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", place)
        with pytest.raises(ModelNotFound, match=rf"the hub did not give it \(.*{words}"):
            resolve("owner/name")
        server.shutdown()
    huggingface_hub.close_session()
