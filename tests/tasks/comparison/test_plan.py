from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emi_model.errors import ConfigError, LabelError
from emi_model.metrics.systems import CHANCE
from emi_model.training.recipes import recipe_named
from tasks.comparison.inner_split import inner_split, with_shuffled_labels
from tasks.comparison.plan import union_recipe
from tasks.labels.labelled_clips import CachedClip, LabelledAudio
from tests.tasks.ablation.ablations import gathered_at
from tests.tasks.comparison.comparisons import compared


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> LabelledAudio:
    return gathered_at(tmp_path_factory.mktemp("labelled"), ["train"] * 9 + ["valid"] * 3)


def clip(place: int, speaker: str) -> CachedClip:
    labels = np.array([place, 1], np.float32)
    return CachedClip(f"{place}", f"{place}", labels, None, speaker, 400, Path("/cache"))


class TestInnerSplit:
    def test_speakers_are_whole_and_the_share_is_reached(self) -> None:
        clips = [clip(place, f"s{place % 5}") for place in range(50)]
        learnt, chosen = inner_split(clips, 0.3)
        assert not {one.speaker for one in learnt} & {one.speaker for one in chosen}
        assert (len(learnt), len(chosen)) == (30, 20)
        assert inner_split(clips, 0.3) == (learnt, chosen)

    def test_one_speaker_is_always_left_to_learn_from(self) -> None:
        learnt, chosen = inner_split([clip(0, "a"), clip(1, "b"), clip(2, "b")], 0.99)
        assert learnt
        assert chosen

    def test_clips_without_a_speaker_stand_alone(self) -> None:
        learnt, chosen = inner_split([clip(place, "") for place in range(10)], 0.2)
        assert (len(learnt), len(chosen)) == (8, 2)

    def test_one_speaker_cannot_be_split(self) -> None:
        with pytest.raises(LabelError, match="clips of one speaker"):
            inner_split([clip(0, "a"), clip(1, "a")], 0.2)
        with pytest.raises(ConfigError, match="inner share is 1"):
            inner_split([clip(0, "a"), clip(1, "b")], 1.0)


def test_shuffled_labels_are_those_of_other_clips() -> None:
    clips = [clip(place, "") for place in range(20)]
    found = with_shuffled_labels(clips)
    assert [one.clip_id for one in found] == [one.clip_id for one in clips]
    values = [float(one.emi[0]) for one in found]
    assert sorted(values) == list(range(20))
    assert sum(value == place for place, value in enumerate(values)) < 5


def test_what_is_measured_neither_teaches_nor_chooses(gathered: LabelledAudio) -> None:
    found = compared(gathered, num_seeds=2)
    train, choose, measured = found.clips
    assert measured is not None
    ids = [{one.clip_id for one in part} for part in (train, choose, measured)]
    assert [len(part) for part in ids] == [6, 3, 3]
    assert len(set.union(*ids)) == 12
    assert len({one.speaker for one in train} & {one.speaker for one in choose}) == 0
    names = [found.by_cell[run.cell].name for run in found.runs]
    assert names == ["paper", "concat"] * 2
    assert [run.seed for run in found.runs] == [1, 1, 2, 2]
    assert found.reference == "paper"


def test_a_recipe_that_chooses_no_epoch_learns_from_all(gathered: LabelledAudio) -> None:
    found = compared(gathered, settings={"keep": "last"})
    assert [len(part or ()) for part in found.clips] == [9, 0, 3]
    best = compared(gathered).clips
    recipe = recipe_named("debug")
    last = replace(recipe, train=replace(recipe.train, keep="last"))
    assert [len(part) for part in best.of(last)] == [9, 0]
    assert [len(part) for part in best.of(recipe)] == [6, 3]
    assert best._replace(measured=None).of(last) == (best.train, best.choose)


def test_systems_and_seeds_add_to_a_comparison_and_other_clips_make_another(
    gathered: LabelledAudio,
) -> None:
    one = compared(gathered)
    more = compared(gathered, ("late", "concat"), losses=("mse+pearson", "ccc"), num_seeds=3)
    assert one.comparison_id == more.comparison_id
    cells = {system.name: system.cell for system in more.systems}
    assert cells["concat · mse+pearson"] == one.systems[1].cell
    assert len(set(cells.values())) == 4
    fewer = replace(gathered, clips={**gathered.clips, "valid": gathered.of_split("valid")[1:]})
    others = [compared(gathered, shuffled=True), compared(fewer), compared(gathered, split="train")]
    assert len({one.comparison_id, *(other.comparison_id for other in others)}) == 4
    longer = compared(gathered, settings={"epochs": 5})
    assert longer.systems[0].cell != one.systems[0].cell


def test_the_reference_is_a_system_or_chance(gathered: LabelledAudio) -> None:
    two = ("mse", "ccc")
    assert compared(gathered, losses=two, reference="concat · ccc").reference == "concat · ccc"
    assert compared(gathered, losses=two, reference="ccc concat").reference == "concat · ccc"
    assert compared(gathered, reference=CHANCE).reference == CHANCE
    assert compared(gathered, shuffled=True).reference == CHANCE
    with pytest.raises(ConfigError, match="2 systems are called 'concat'"):
        compared(gathered, losses=two, reference="concat")
    with pytest.raises(ConfigError, match="0 systems are called 'cake', expected one of chance"):
        compared(gathered, reference="cake")


def test_nothing_to_compare(gathered: LabelledAudio) -> None:
    with pytest.raises(ConfigError, match="0 seeds"):
        compared(gathered, num_seeds=0)
    with pytest.raises(LabelError, match="no clip in the split 'test'"):
        compared(gathered, split="test")


def test_a_clip_is_there_for_all_systems_or_for_none() -> None:
    whole = recipe_named("semantic_matters")
    alone = recipe_named("text")
    union = union_recipe([whole, alone])
    assert union.model.needs == {"audio": True, "vision": False, "text": True}
    assert union.backbone == whole.backbone
