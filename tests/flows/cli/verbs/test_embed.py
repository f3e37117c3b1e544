"""`emi embed`: a folder of vectors from a folder of clips."""

import numpy as np
import pyarrow.parquet as pq
import soundfile
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from tests.tiny import BACKBONE


def test_it_says_what_it_did_and_does_it_once(emi, tmp_path):
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE)
    save_checkpoint(tmp_path / "model", EmiModel(config).eval(), ModelCard("tiny", config.targets))
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips" / "a.wav", np.zeros(4_000), 16_000)
    (tmp_path / "clips" / "b.mp4").touch()
    asked = (
        "embed",
        tmp_path / "clips",
        "--results",
        tmp_path / "v",
        "--model",
        tmp_path / "model",
    )
    code, out, _ = emi(*asked)
    assert (code, out.splitlines()) == (
        0,
        [
            "1 clips embedded, 1 rejected, 0 skipped (done before): 35 values a clip",
            "  rejected, unreadable: 1",
            f"in {tmp_path / 'v'}",
        ],
    )
    (file,) = (tmp_path / "v").iterdir()
    assert pq.read_table(file).num_rows == 2
    assert "0 clips embedded, 0 rejected, 2 skipped" in emi(*asked)[1]
    code, out, err = emi(*asked, "--frames")
    assert (code, out) == (2, "")
    assert "without frames: choose another folder" in err
