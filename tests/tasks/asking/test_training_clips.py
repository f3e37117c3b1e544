from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.asking.answers import Wishes
from tasks.asking.questions import ask_question
from tasks.asking.training_clips import learnt_clips
from tasks.registry.client import mlflow_client
from tasks.registry.tracking import start_run
from tests.tasks.asking.conftest import CLIPS


@pytest.mark.usefixtures("emi_home")
def test_the_registry_says_it_where_no_row_does(study: str, tmp_path: Path) -> None:
    """Scores of an earlier version, which did not record what the model was trained on."""
    folder = tmp_path / "model"
    folder.mkdir()
    contents = {"train": [f"of {CLIPS[0]}", f"of {CLIPS[1]}"], "valid": [f"of {CLIPS[-1]}"]}
    (folder / "training_clips.json").write_text(json.dumps(contents), encoding="utf-8")
    run, client = start_run("t1", {}), mlflow_client()
    client.create_registered_model("emi")
    client.create_model_version("emi", folder.as_uri(), run.run_id, {"sha256": "aa"})
    (warned,) = learnt_clips(study, None, (0, 0), 36, "aa")
    assert warned.startswith("the model was trained on 2 of these 36 clips")
    assert "`emi process --rescore`" in warned
    (chosen,) = learnt_clips(study, "condition = 'loud'", (0, 0), 18, "aa")
    assert chosen.startswith("1 of these 18 clips chose the epoch")
    assert learnt_clips(study, None, (0, 0), 36, "bb") == ()
    assert learnt_clips(study, None, (0, 0), 36, None) == ()
    asked = ask_question(study, "mixed_model", Wishes(by="condition", columns=("joy",)))
    assert asked.warnings == (warned,)
