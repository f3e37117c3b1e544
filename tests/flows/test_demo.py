"""The demo on a few clips: trained for one epoch, scored in this process, and carried on with."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.checkpoints.load import load_model
from emi_model.errors import ConfigError, TrainingError
from emi_model.predict import Predictor
from emi_model.training.clips import LabelledClip
from flows import demo, demo_kinds
from tasks.extraction.headers import Prober
from tasks.extraction.rows import extract_clip
from tasks.schema.scores import scored_schema
from tasks.scoring.clip_scorer import ClipScorer
from tasks.scoring.commit import Committer
from tasks.scoring.run import score_corpus
from tasks.store.query import answer
from tasks.synthetic.corpus import BROKEN_NAMES, write_corpus
from tests.emi_model.architecture.tiny_encoders import TEXT_BRANCHES, VISION_BRANCHES


def score_here(run, plan, *_):
    """Score what is missing in this process."""
    settings = run.job.settings
    limits = {"max_seconds": settings.max_seconds, "timeout_seconds": settings.timeout_seconds}
    with Prober() as prober:
        extracted = [extract_clip(clip, **limits, prober=prober) for clip in plan.todo]
    if extracted:
        rows = ClipScorer(Predictor(load_model(settings.model).model), "first")(extracted)
        with Committer(run.store, run.stamp, run.tally) as committer:
            committer.add(pa.Table.from_pylist(rows, scored_schema(settings.targets)))


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Six clips of three speakers, one epoch, no Ray; returns the demo's folder."""
    recipe = demo_kinds.demo_recipe()
    short = replace(recipe, train=replace(recipe.train, epochs=1, warmup_epochs=0.5))
    monkeypatch.setattr("tasks.synthetic.corpus.OVERLONG_SECONDS", 3.0)
    monkeypatch.setattr(demo_kinds, "demo_recipe", lambda: short)
    monkeypatch.setattr(
        demo_kinds,
        "write_corpus",
        lambda folder, **options: write_corpus(folder, num_clips=6, num_speakers=3, **options),
    )
    monkeypatch.setattr(
        demo, "process_corpus", lambda *places: score_corpus(*places, score_stage=score_here)
    )
    threads = torch.get_num_threads()
    yield tmp_path / "demo"
    torch.set_num_threads(threads)


def test_the_demo_trains_on_some_speakers_and_scores_the_others(small):
    report = demo.run_demo(small)
    card = load_checkpoint(small / "model").card
    assert (card.name, card.recipe, card.data) == (
        "demo",
        "demo",
        "4 synthetic voices of this project",
    )
    assert card.split.startswith("trained on speakers speaker01, speaker02;")
    manifest = (small / "rest.csv").read_text().splitlines()
    assert len(manifest) == 1 + 2 + len(BROKEN_NAMES)
    assert report.num_held_out == 2
    assert set(report.metrics) == set(card.targets)
    assert report.rejections.num_rows == len(BROKEN_NAMES)
    assert len(report.answers) == len(demo_kinds.QUESTIONS)
    assert next(iter(report.answers)).startswith("Which clips sound most joyful")

    weights = (small / "model" / "model.safetensors").read_bytes()
    again = demo.run_demo(small)
    assert (again.metrics, again.num_held_out) == (report.metrics, 2)
    assert (small / "model" / "model.safetensors").read_bytes() == weights
    runs = answer(small / "results", "SELECT num_skipped FROM runs ORDER BY started_at").to_pylist()
    assert [row["num_skipped"] for row in runs] == [0, 2 + len(BROKEN_NAMES)]

    with pytest.raises(ConfigError, match="recipe 'demo', expected 'demo_all': name an"):
        demo.run_demo(small, "all")

    damaged = next((small / "corpus" / "speaker01").glob("clip_*.mp4"))
    damaged.write_bytes(b"")
    (small / "model" / demo.CARD_FILE).unlink()
    with pytest.raises(TrainingError, match=damaged.name):
        demo.run_demo(small)


def test_the_demo_of_all_modalities_hears_reads_and_sees():
    kind = demo_kinds.demo_kind("all")
    assert kind.recipe.model.needs == {"audio": False, "text": False, "vision": False}
    assert kind.options["text"].model == kind.scoring["asr"]
    assert demo.subsets(kind.recipe.model.modalities) == [
        *(("audio",), ("text",), ("vision",)),
        *(("audio", "text"), ("audio", "vision"), ("text", "vision")),
        ("audio", "text", "vision"),
    ]


def test_without_the_extra_the_demo_says_what_it_needs(monkeypatch):
    monkeypatch.setattr(demo_kinds, "PACKAGES_OF_ALL", ("numpy", "no_such_ears", "no_such_eyes"))
    with pytest.raises(ConfigError, match=r"no no_such_ears, no_such_eyes.*emi-workflow\[demo\]"):
        demo_kinds.demo_kind("all")
    with pytest.raises(ConfigError, match="'audio' or 'all'"):
        demo_kinds.demo_kind("smell")


def test_one_model_is_measured_on_every_subset_of_what_it_takes(tmp_path):
    targets = ("Joy", "Awe")
    text = {"optional": True, **TEXT_BRANCHES["hashed_words"]}
    vision = {"optional": True, **VISION_BRANCHES["small_conv"]}
    config = EmiConfig(branches={"text": text, "vision": vision}, targets=targets)
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "model", EmiModel(config).eval(), ModelCard("tiny", targets))
    rng = np.random.default_rng(0)
    clips = [
        LabelledClip(f"{number}.mp4", inputs, rng.random(2, dtype=np.float32), None)
        for number, inputs in enumerate(
            {
                "text": np.frombuffer(word.encode(), np.uint8),
                **({"vision": rng.integers(1, 255, (3, 16, 16, 3), np.uint8)} if number else {}),
            }
            for number, word in enumerate(("glad", "sad", "so very glad", "odd"))
        )
    ]
    found = demo.pearson_by_modalities(demo.DemoPlaces(tmp_path), clips)
    assert list(found) == ["text", "vision", "text + vision"]
    assert len(set(found.values())) == 3
    assert all(-1 <= value <= 1 for value in found.values())
