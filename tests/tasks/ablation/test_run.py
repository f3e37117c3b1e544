from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.errors import CheckpointError, ConfigError, LabelError, StoreError
from emi_model.training.recipes import recipe_named
from emi_model.training.state import STATE_FILE, inputs_id_of
from tasks.ablation.grid import SWITCHES, Ablation, grid
from tasks.ablation.run import missing_runs, record, recorded_rows
from tasks.comparison.cell import CellJob, CellRun, train_cell
from tasks.comparison.origins import Origin
from tasks.extraction.series.given import parse_features
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import LabelledAudio
from tasks.schema.registers import MEAN
from tasks.store.query import answer
from tasks.store.store import ResultsStore
from tasks.training.gathering import load_for_recipe, with_features
from tasks.training.plan import facts_of_inputs
from tasks.training.recipe_names import chosen_recipe
from tests.emi_model.architecture.tiny_encoders import tiny_text_encoder
from tests.tasks.ablation.ablations import DEBUG, gathered_at, outcome, planned, save_wav2vec2
from tests.tasks.labels.labelled_corpus import TARGETS, labelled_store
from tests.tiny import BACKBONE

GRID = [
    "full",
    "without global vector",
    "without regression head",
    "without LSTM",
    "without VAD head",
]


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> LabelledAudio:
    root = tmp_path_factory.mktemp("labelled")
    return gathered_at(root, ["train"] * 5 + ["valid"] * 3)


@pytest.fixture
def ablation(gathered: LabelledAudio) -> Ablation:
    return planned(gathered, DEBUG, num_seeds=2)


class TestGrid:
    def test_each_part_is_switched_off_alone(self, ablation: Ablation) -> None:
        assert [cell.name for cell in ablation.cells] == GRID
        models = [cell.recipe.model for cell in ablation.cells]
        off = [{name for name in SWITCHES if not getattr(model, name)} for model in models]
        assert off == [set(), *({name} for name in SWITCHES)]
        assert {(model.backbone["hidden_size"], model.lstm_layers) for model in models} == {(16, 2)}

    @pytest.mark.parametrize(
        ("recipe", "expected"),
        [
            ("semantic_matters", ["VAD head", "vision", "text"]),
            ("text", ["regression head"]),
            ("all", ["VAD head"]),
            ("all+late", ["global vector", "regression head", "LSTM", "VAD head"]),
            ("semantic_matters+text_anchored", ["VAD head", "vision"]),
        ],
    )
    def test_of_several_modalities_only_what_changes_the_model(
        self, recipe: str, expected: list[str]
    ) -> None:
        cells = grid(recipe_named(recipe), Origin())
        assert [cell.name for cell in cells] == ["full", *(f"without {name}" for name in expected)]
        branches = {cell.name: list(cell.recipe.model.branches) for cell in cells}
        if recipe == "semantic_matters":
            assert branches["without vision"] == ["audio", "text"]
            fusion = cells[2].recipe.model.fusion
            assert fusion == {"name": "concat", "lstm_sizes": {}}

    def test_without_a_vad_head_its_loss_is_left_out(self, ablation: Ablation) -> None:
        weights = [cell.recipe.train.vad_loss_weight for cell in ablation.cells]
        assert weights == [1.0, 1.0, 1.0, 1.0, 0.0]

    def test_the_whole_grid_comes_under_one_seed_before_the_next(self, ablation: Ablation) -> None:
        assert ablation.runs == tuple(CellRun(cell, seed) for seed in (1, 2) for cell in GRID)
        assert ablation.cell("full").seeded(2).train == replace(DEBUG.train, seed=2)

    def test_backbones_are_rows_of_their_own(self, gathered: LabelledAudio, tmp_path: Path) -> None:
        one, other = (
            str(save_wav2vec2(tmp_path / name / "asr", seed=seed)) for seed, name in enumerate("ab")
        )
        (Path(other) / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
        found = planned(gathered, DEBUG, num_seeds=1, backbones=[one, other, one])
        cells = found.cells[len(GRID) :]
        assert [cell.name.split("@")[0] for cell in cells] == ["full on asr"] * 2
        assert cells[0].name != cells[1].name
        assert [cell.origin.licence for cell in cells] == ["unknown", "apache-2.0"]
        assert all(cell.has_fresh_head and cell.recipe == DEBUG for cell in cells)
        assert not any(cell.has_fresh_head for cell in found.cells[: len(GRID)])

    def test_all_start_from_the_named_model_if_it_has_a_head(
        self, gathered: LabelledAudio, tmp_path: Path
    ) -> None:
        config = EmiConfig(backbone=BACKBONE)
        card = ModelCard("mine", config.targets, backbone_licence="CC-BY-4.0")
        save_checkpoint(tmp_path / "mine", EmiModel(config), card)
        found = planned(gathered, DEBUG, num_seeds=1, start=str(tmp_path / "mine"))
        assert {(cell.origin.name, cell.origin.licence) for cell in found.cells} == {
            ("mine", "CC-BY-4.0")
        }
        with pytest.raises(CheckpointError, match="no VAD head, which would be newly initialised"):
            planned(gathered, DEBUG, num_seeds=1, start=str(save_wav2vec2(tmp_path / "headless")))

    def test_nothing_to_compare(self, gathered: LabelledAudio) -> None:
        with pytest.raises(ConfigError, match="found 0 seeds"):
            planned(gathered, DEBUG, num_seeds=0)
        bare = replace(gathered, clips={"train": gathered.of_split("train")})
        with pytest.raises(LabelError, match="no clip in the split 'valid'"):
            planned(bare, DEBUG, num_seeds=1)


def test_seeds_and_backbones_add_to_an_ablation_and_all_else_makes_another(
    gathered: LabelledAudio, ablation: Ablation, tmp_path: Path
) -> None:
    backbones = [str(save_wav2vec2(tmp_path / "asr"))]
    same = planned(gathered, DEBUG, num_seeds=5, backbones=backbones)
    assert same.ablation_id == ablation.ablation_id
    save_checkpoint(
        tmp_path / "mine",
        EmiModel(EmiConfig(backbone=BACKBONE, targets=())),
        ModelCard("mine", ()),
    )
    labels = replace(gathered.labels, snapshot="another")
    fewer = {**gathered.clips, "train": gathered.of_split("train")[1:]}
    others = [
        planned(gathered, recipe_named("debug+ccc"), num_seeds=2),
        planned(gathered, replace(DEBUG, filterbank=not DEBUG.filterbank), num_seeds=2),
        planned(gathered, DEBUG, num_seeds=2, start=str(tmp_path / "mine")),
        planned(replace(gathered, labels=labels), DEBUG, num_seeds=2),
        planned(replace(gathered, clips=fewer), DEBUG, num_seeds=2),
    ]
    assert len({ablation.ablation_id, *(other.ablation_id for other in others)}) == 6


class TestInputs:
    def test_other_features_make_another_ablation(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
        corpus, labels = labelled_store(tmp_path, ["train", "valid"])

        def with_pulse(value: float) -> Ablation:
            folder = tmp_path / str(value) / "pulse"
            folder.mkdir(parents=True, exist_ok=True)
            for place in range(2):
                np.save(folder / f"00{place}.npy", np.full((1, 3), value, np.float32))
            given = parse_features([f"pulse={folder}"])
            recipe = with_features(DEBUG, given, str(corpus))
            splits = ("train", "valid")
            return planned(
                load_for_recipe(recipe, load_labels(labels), str(corpus), splits, features=given),
                recipe,
            )

        one, other = with_pulse(1.0), with_pulse(2.0)
        assert one.recipe == other.recipe
        assert one.ablation_id != other.ablation_id == with_pulse(2.0).ablation_id
        run = CellRun("full", 1)
        assert one.job(run).journal != other.job(run).journal
        assert inputs_id_of(one.clips.train) != inputs_id_of(other.clips.train)

    def test_another_asr_model_makes_another_ablation(self, gathered: LabelledAudio) -> None:
        read = [
            planned(replace(gathered, extractors={"text": {"asr_model": name}}))
            for name in ("tiny.en", "small.en")
        ]
        assert len({planned(gathered).ablation_id, *(one.ablation_id for one in read)}) == 3

    def test_an_encoder_goes_by_its_content(
        self, gathered: LabelledAudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tiny_text_encoder(tmp_path / "bert")
        monkeypatch.chdir(tmp_path)
        recipe = chosen_recipe("debug+text.encoder=./bert")
        one = planned(gathered, recipe)
        assert planned(gathered, recipe).ablation_id == one.ablation_id
        found = one.job(CellRun("full", 1)).recipe.model.branches["text"]["encoder"]
        assert found == str(folder)  # a worker may be in another folder
        weights = load_file(folder / "model.safetensors")
        weights["embeddings.LayerNorm.bias"] += 1
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        assert planned(gathered, recipe).ablation_id != one.ablation_id

    def test_ids_of_what_is_heard_alone_stay(self) -> None:
        assert facts_of_inputs({}, {}) == {}


class TestRegister:
    def test_what_is_recorded_is_not_missing(
        self, ablation: Ablation, gathered: LabelledAudio, store: ResultsStore
    ) -> None:
        assert missing_runs(ablation, store) == list(ablation.runs)
        done = CellRun("without LSTM", 1)
        record(store, ablation, done, outcome())
        assert missing_runs(ablation, store) == [run for run in ablation.runs if run != done]
        rows = recorded_rows(store, ablation.ablation_id)
        assert {(row["cell"], row["seed"]) for row in rows} == {done}
        other = planned(gathered, recipe_named("debug+ccc"), num_seeds=1)
        assert missing_runs(other, store) == list(other.runs)
        with pytest.raises(StoreError, match="never changed"):
            record(store, ablation, done, outcome())

    def test_undefined_is_null_and_not_in_the_mean(
        self, ablation: Ablation, store: ResultsStore
    ) -> None:
        record(store, ablation, CellRun("without VAD head", 2), outcome({"Noise": None}))
        (nothing,) = ablation.cells[-1:]
        record(store, ablation, CellRun(nothing.name, 1), outcome(dict.fromkeys(TARGETS)))
        asked = "SELECT seed, target, pearson, vad_head, lstm, mae FROM ablations"
        rows = answer(store.location, f"{asked} ORDER BY seed, target").to_pylist()
        shared = {"vad_head": False, "lstm": True, "mae": pytest.approx(0.1)}
        assert rows == [
            {"seed": seed, "target": target, "pearson": pearson, **shared}
            for seed, target, pearson in [
                (1, "Noise", None),
                (1, "Tone", None),
                (1, MEAN, None),
                (2, "Noise", None),
                (2, "Tone", 0.5),
                (2, MEAN, 0.5),
            ]
        ]


class TestCell:
    def test_one_that_was_killed_goes_on_from_its_last_epoch(
        self, gathered: LabelledAudio, tmp_path: Path
    ) -> None:
        torch.set_num_threads(1)
        train, valid = gathered.of_split("train"), gathered.of_split("valid")
        told: list[int] = []

        def dies_in_epoch_2(report: object) -> None:
            if told:
                raise KeyboardInterrupt
            told.append(1)

        def job(folder: str) -> CellJob:
            return CellJob(DEBUG, TARGETS, None, fresh_head=False, journal=tmp_path / folder)

        whole = train_cell(job("whole"), train, valid, lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            train_cell(job("torn"), train, valid, dies_in_epoch_2)
        assert (tmp_path / "torn" / STATE_FILE).is_file()
        found = train_cell(job("torn"), train, valid, lambda report: told.append(report.epoch))
        assert told == [1, 3]  # the state of epoch 2 is kept before anybody is told
        assert (found.figures, found.epoch) == (whole.figures, whole.epoch)
        assert found.figures.keys() == set(TARGETS)
        assert found.num_parameters == whole.num_parameters > 1000

    def test_it_starts_from_its_backbone(self, gathered: LabelledAudio, tmp_path: Path) -> None:
        folder = str(save_wav2vec2(tmp_path / "asr"))
        job = CellJob(DEBUG, TARGETS, folder, fresh_head=True, journal=tmp_path / "journal")
        assert job.first_model().config.hidden_size == BACKBONE["hidden_size"]
        strict = replace(job, fresh_head=False)
        with pytest.raises(CheckpointError, match="newly initialised"):
            strict.first_model()
