from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from emi_model.architecture.config import EmiConfig
from emi_model.errors import StoreError
from tasks.ablation.report import AblationReport
from tasks.ablation.run import record, recorded_rows
from tasks.ablation.summary import REPORT_SCHEMA, Spread, format_spread, spread
from tasks.comparison.cell import CellRun
from tasks.labels.labelled_clips import LabelledAudio
from tasks.schema.registers import MEAN
from tasks.storage.open import open_folder
from tasks.store.store import ResultsStore, create_store
from tests.tasks.ablation.ablations import DEBUG, gathered_at, outcome, planned, save_wav2vec2

SMALL, BARE = "without LSTM", "without VAD head"


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> LabelledAudio:
    root = tmp_path_factory.mktemp("labelled")
    return gathered_at(root, ["train"] * 3 + ["valid"] * 2)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> ResultsStore:
    return create_store(tmp_path_factory.mktemp("figures") / "store")


@pytest.fixture(scope="module")
def report(gathered: LabelledAudio, figures: ResultsStore) -> AblationReport:
    """Three seeds; one undefined target, one seed of a cell that failed, two cells unheard of."""
    ablation = planned(gathered, DEBUG, num_seeds=3)
    pearsons = {
        CellRun("full", 1): {"Noise": 0.2, "Tone": 0.6},
        CellRun("full", 2): {"Noise": 0.4, "Tone": 0.8},
        CellRun("full", 3): {"Noise": 0.3, "Tone": None},
        CellRun(SMALL, 1): {"Noise": 0.1, "Tone": 0.5},
        CellRun(SMALL, 2): {"Noise": None, "Tone": 0.6},
        CellRun(BARE, 2): {"Noise": None, "Tone": None},
    }
    for run, values in pearsons.items():
        record(figures, ablation, run, outcome(values, num_parameters=1234567))
    failed = {CellRun(SMALL, 3): "the loss is nan"}
    return AblationReport.of(ablation, recorded_rows(figures, ablation.ablation_id), failed)


class TestArithmetic:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([0.1, 0.3], Spread(0.2, 0.1 * 2**0.5, 2)),
            ([0.1, None, 0.3, None], Spread(0.2, 0.1 * 2**0.5, 2)),
            ([0.25], Spread(0.25, None, 1)),
            ([None], Spread(None, None, 0)),
            ([], Spread(None, None, 0)),
        ],
    )
    def test_mean_and_spread(self, values: list[float | None], expected: Spread) -> None:
        found = spread(values)
        assert (found.mean, found.deviation) == pytest.approx((expected.mean, expected.deviation))
        assert found.num == expected.num

    def test_of_each_cell(self, report: AblationReport) -> None:
        full, small, bare = (report.summaries[place] for place in (0, 3, 4))
        assert [cell.cell.name for cell in (full, small, bare)] == ["full", SMALL, BARE]
        assert full.num_seeds == 3
        assert full.pearson["Noise"].mean == pytest.approx(0.3)
        assert full.pearson["Noise"].deviation == pytest.approx(0.1)
        assert full.pearson["Tone"] == Spread(pytest.approx(0.7), pytest.approx(0.02**0.5), 2)
        assert full.pearson[MEAN].mean == pytest.approx((0.4 + 0.6 + 0.3) / 3)
        assert full.difference == {}
        assert bare.pearson[MEAN] == Spread(None, None, 0)

    def test_differences_are_of_the_same_seed_and_the_same_targets(
        self, report: AblationReport
    ) -> None:
        small = report.summaries[3]
        assert small.num_pairs == 2
        assert small.difference["Noise"] == Spread(pytest.approx(-0.1), None, 1)
        assert small.difference["Tone"].mean == pytest.approx(-0.15)
        # seed 1: both targets, -0.1; seed 2: Tone alone, -0.2
        assert small.difference[MEAN].mean == pytest.approx(-0.15)
        assert small.difference[MEAN].deviation == pytest.approx(0.1 / 2**0.5)
        assert report.summaries[4].difference[MEAN] == Spread(None, None, 0)

    @pytest.mark.parametrize(
        ("found", "num_expected", "text"),
        [
            (Spread(0.5, 0.0123, 3), 3, "+0.500 ± 0.012"),
            (Spread(0.5, 0.0123, 2), 3, "+0.500 ± 0.012 (2 of 3)"),
            (Spread(-0.5, None, 1), 1, "-0.500"),
            (Spread(None, None, 0), 3, "undefined"),
            (Spread(None, None, 0), 0, "-"),
            (None, 3, "-"),
        ],
    )
    def test_told(self, found: Spread | None, num_expected: int, text: str) -> None:
        assert format_spread(found, num_expected, sign=True) == text
        assert format_spread(found, num_expected) == text.removeprefix("+")


class TestFiles:
    def test_markdown_says_all_that_is_to_be_known(self, report: AblationReport) -> None:
        text = report.markdown()
        lines = text.splitlines()
        table = [line for line in lines if line.startswith("|")]
        assert table[0].startswith("| cell | mean | less full | Noise | Tone | parameters | seeds")
        assert table[2].startswith("| full | 0.433 ± 0.153 | - | 0.300 ± 0.100 | 0.700 ± 0.141 (2")
        assert table[2].endswith("| 1,234,567 | 3 |")
        assert table[3].startswith("| without global vector | - | - | - | - | - | 0 |")
        assert table[5].endswith("| 2 (1 failed) |")
        assert "| without VAD head | undefined | undefined | undefined | undefined |" in text
        assert "- Failed: without LSTM, seed 3: the loss is nan" in lines
        assert "full: Tone (1); without LSTM: Noise (1); without VAD head: Noise (1)" in text
        assert "0 of 3 clips are labelled" in text
        assert "without a VAD head is trained without that loss" in text
        assert "only that of the full model is known here, 0.386" in text
        assert "nan |" not in text

    def test_one_row_a_cell_and_target(self, report: AblationReport, tmp_path: Path) -> None:
        report.write(tmp_path / "report")
        report.write(tmp_path / "report")  # in place of the earlier one
        names = {path.name for path in (tmp_path / "report").iterdir()}
        assert names == {"ablation.md", "ablation.parquet", "ablation.png"}
        assert (tmp_path / "report" / "ablation.png").read_bytes().startswith(b"\x89PNG")
        table = pq.read_table(tmp_path / "report" / "ablation.parquet")
        assert table.schema.equals(REPORT_SCHEMA)
        rows = table.to_pylist()
        assert [(row["cell"], row["target"]) for row in rows[:3]] == [
            ("full", "Noise"),
            ("full", "Tone"),
            ("full", MEAN),
        ]
        assert len(rows) == 15
        (small,) = (row for row in rows if (row["cell"], row["target"]) == (SMALL, MEAN))
        assert (small["num_seeds"], small["num_failed"], small["num_pairs"]) == (2, 1, 2)
        assert small["difference"] == pytest.approx(-0.15)
        bare = rows[-1]
        assert (bare["pearson"], bare["difference"], bare["num_defined"]) == (None, None, 0)

    def test_it_may_be_in_a_bucket(self, report: AblationReport, bucket: str) -> None:
        report.write(f"{bucket}/report")
        names = {file.name for file in open_folder(f"{bucket}/report").files()}
        assert names == {"ablation.md", "ablation.parquet", "ablation.png"}

    def test_a_folder_that_cannot_be_written(self, report: AblationReport, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("")
        with pytest.raises(StoreError, match="cannot be written"):
            report.write(tmp_path / "taken")


def test_other_backbones_are_explained(gathered: LabelledAudio, tmp_path: Path) -> None:
    folder = save_wav2vec2(tmp_path / "asr")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    ablation = planned(gathered, DEBUG, num_seeds=1, backbones=[str(folder)])
    report = AblationReport.of(ablation, [], {})
    name = ablation.cells[-1].name
    assert f"- The VAD head is new where the backbone has none: {name}." in report.markdown()
    assert f"| asr | mit | {ablation.cells[-1].origin.sha256[:12]} | 1 |" in report.markdown()
    assert "One seed has no spread" in report.markdown()


def test_a_backbone_without_weights_for_masked_frames_is_told(
    gathered: LabelledAudio, tmp_path: Path
) -> None:
    folder = save_wav2vec2(tmp_path / "asr", masks=False)
    silent = replace(DEBUG, model=EmiConfig())  # the backbone's own config decides on SpecAugment
    for recipe, is_told in ((silent, True), (DEBUG, False)):
        ablation = planned(gathered, recipe, num_seeds=1, backbones=[str(folder)])
        text = AblationReport.of(ablation, [], {}).markdown()
        assert ("SpecAugment is off" in text) == is_told


def test_fewer_seeds_asked_for_are_fewer_shown(
    report: AblationReport, gathered: LabelledAudio, figures: ResultsStore
) -> None:
    fewer = planned(gathered, DEBUG, num_seeds=1)
    rows = recorded_rows(figures, fewer.ablation_id)
    found = AblationReport.of(fewer, rows, {})
    assert [summary.num_seeds for summary in found.summaries] == [1, 0, 0, 1, 0]
    assert {row["seed"] for row in found.rows} == {1}
    assert len(report.rows) > len(found.rows)
