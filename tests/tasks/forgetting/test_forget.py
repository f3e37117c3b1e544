"""Forgetting clips: nothing of them is left in any table or file, and all else stays."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emi_model.errors import CorpusError, StoreError
from tasks.forgetting.forget import forget_clips, plan_forgetting
from tasks.forgetting.journal import FORGETTING
from tasks.labels.label_set import load_labels
from tasks.schema.tables import FORGOTTEN, LABELS, SCORES, TABLES, TRANSCRIPTS
from tasks.storage.local import LocalFolder
from tasks.storage.open import is_remote
from tasks.store.query import answer
from tasks.store.store import ResultsStore
from tasks.store.writers import ALIVE
from tests.places import DISK_AND_BUCKET
from tests.tasks.forgetting.forgettable import (
    ANNA,
    BEN,
    NAMES,
    Killed,
    files_naming,
    forget,
    label,
)

pytestmark = pytest.mark.usefixtures("machine")


IN_BOTH = pytest.mark.parametrize("filled", ["disk", "bucket"], indirect=True)


def rows_of(store: ResultsStore, clip_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return a clip's rows by table, as the files hold them."""
    found = {}
    for table in TABLES:
        rows = [row for part in store.parts(table) for row in store.read(part).to_pylist()]
        found[table] = [row for row in rows if row.get("clip_id") == clip_id]
    return {table: rows for table, rows in found.items() if rows}


class TestAllTables:
    def test_no_file_holds_a_letter_of_it(self, filled: ResultsStore) -> None:
        before = rows_of(filled, BEN)
        found = forget(filled, ANNA)
        assert files_naming(filled.folder, *NAMES) == set()
        assert rows_of(filled, BEN) == before
        (counts,) = found.amount.num_rows.values()
        assert counts[SCORES] == 2
        assert counts[LABELS] == 2

    def test_all_of_a_speaker_goes(self, filled: ResultsStore) -> None:
        named = {file.partition("/")[0] for file in files_naming(filled.folder, *NAMES)}
        assert set(TABLES) - named == set()  # a new table is filled, too
        found = forget(filled, speaker="anna")
        assert found.clip_ids == (ANNA,)
        assert files_naming(filled.folder, *NAMES) == set()
        assert "ben" in answer(filled.location, "FROM speaker_metadata")["speaker"].to_pylist()

    def test_it_is_noted_that_it_was_and_never_what(self, filled: ResultsStore) -> None:
        found = forget(filled, "anna/*")
        row = answer(filled.location, f"FROM {FORGOTTEN} WHERE num_clips = 1 AND num_cached = 0")
        (noted,) = [one for one in row.to_pylist() if one["forgetting_id"] > "2"]
        assert dict(noted["num_rows"]) == next(iter(found.amount.num_rows.values()))
        assert noted["num_models"] == 0
        assert noted["finished_at"] >= noted["begun_at"]
        assert list(filled.folder.files(FORGETTING)) == []

    def test_the_labels_stay_a_chain_with_their_ids(self, store: ResultsStore) -> None:
        first, second = label(store, ANNA, BEN), label(store, ANNA)
        forget(store, ANNA)
        labels = load_labels(store.location)
        assert (labels.snapshot, labels.number) == (second, 2)  # of it nothing is left
        assert [row.clip_id for row in labels.clips] == [BEN]
        assert load_labels(store.location, first).snapshot == first
        third = label(store, "new.mp4")
        assert load_labels(store.location).snapshot == third
        forget(store, "new.mp4")
        assert [row.clip_id for row in load_labels(store.location).clips] == [BEN]

    def test_nothing_is_changed_by_a_plan(self, filled: ResultsStore) -> None:
        before = {file.name: filled.folder.read(file.name) for file in filled.folder.files()}
        _, found = plan_forgetting(filled.location, "anna/*", None)
        assert found.clip_ids == (ANNA,)
        after = {file.name: filled.folder.read(file.name) for file in filled.folder.files()}
        assert after == before

    @IN_BOTH
    def test_a_call_that_is_killed_is_finished_by_the_next(
        self, filled: ResultsStore, kill_at: Callable[[int | None], None]
    ) -> None:
        before = rows_of(filled, BEN)
        for number in (1, 9):
            kill_at(number)
            with pytest.raises(Killed):
                forget(filled, ANNA)
            kill_at(None)
            rows = [row for part in filled.parts(SCORES) for row in filled.read(part).to_pylist()]
            assert before[SCORES][0] in rows
        assert forget(filled, ANNA) is None
        assert files_naming(filled.folder, *NAMES) == set()
        assert rows_of(filled, BEN) == before
        with pytest.raises(CorpusError, match="no clip fits"):
            forget(filled, ANNA)


class TestWhoIsMeant:
    def test_a_pattern_means_whole_names(self, store: ResultsStore) -> None:
        label(store, "1.mp4", "11.mp4", "a/1.mp4", "a/b/1.mp4")

        def meant(pattern: str) -> set[str]:
            return set(plan_forgetting(store.location, pattern, None)[1].clip_ids)

        assert meant("1.mp4") == {"1.mp4"}
        assert meant("*/1.mp4") == {"a/1.mp4", "a/b/1.mp4"}
        assert meant("1?.mp4") == {"11.mp4"}

    def test_a_name_with_brackets_means_this_clip_alone(self, store: ResultsStore) -> None:
        label(store, "take[1].mp4", "take1.mp4", "take2.mp4")

        def meant(pattern: str) -> tuple[str, ...]:
            return plan_forgetting(store.location, pattern, None)[1].clip_ids

        assert meant("take[1].mp4") == ("take[1].mp4",)
        assert meant("take[12].mp4") == ("take1.mp4", "take2.mp4")

    def test_letters_may_be_composed_otherwise(self, store: ResultsStore) -> None:
        label(store, "u\u0308.mp4")
        assert plan_forgetting(store.location, "ü.mp4", None)[1].clip_ids == ("u\u0308.mp4",)

    def test_names_that_are_close_are_offered(self, store: ResultsStore) -> None:
        label(store, "anna/1.mp4")
        with pytest.raises(CorpusError, match=r"no clip fits 'ana/1.mp4' in .*: did you mean anna"):
            plan_forgetting(store.location, "ana/1.mp4", None)
        with pytest.raises(CorpusError, match=r"no clip is of 'ana' in .*: did you mean anna"):
            plan_forgetting(store.location, None, "ana")

    def test_the_latest_labels_say_who_speaks(self, store: ResultsStore) -> None:
        label(store, ANNA, BEN)
        label(store, BEN, speaker="anna")
        assert plan_forgetting(store.location, None, "anna")[1].clip_ids == (ANNA, BEN)
        label(store, ANNA, speaker="carla")
        found = forget(store, speaker="anna")
        assert found.clip_ids == (BEN,)
        rows = [row for part in store.parts(LABELS) for row in store.read(part).to_pylist()]
        assert [row["speaker"] for row in rows] == [None, "carla"]

    def test_a_name_is_one_however_its_accents_are_composed(self, store: ResultsStore) -> None:
        label(store, ANNA, speaker="Jose\u0301")
        label(store, BEN, speaker="Jos\u00e9")
        for typed in ("Jose\u0301", "Jos\u00e9"):
            assert plan_forgetting(store.location, None, typed)[1].clip_ids == (ANNA, BEN)
        forget(store, speaker="Jos\u00e9")
        assert [row for part in store.parts(LABELS) for row in store.read(part).to_pylist()] == []


class TestOnThisMachine:
    def test_names_go_from_logs_reports_and_artifacts(
        self, filled: ResultsStore, machine: Path
    ) -> None:
        store = filled
        text = f"a worker died holding ['/c/{ANNA}'] and {BEN}; {json.dumps(ANNA)}\n"
        places = [store.folder, LocalFolder(machine)]
        for folder, name in zip(
            places, ("logs/process-1.log", "artifacts/1/card.json"), strict=True
        ):
            folder.write(name, text.encode())
        store.folder.write("reports/one.md", text.encode())
        store.folder.write("inbox/x-taken.json", json.dumps({"said": ANNA}).encode())
        assert forget(store, ANNA).amount.num_texts == 4
        assert [files_naming(folder, *NAMES) for folder in places] == [set(), set()]
        left = store.folder.read("reports/one.md").decode()
        assert left == f"a worker died holding ['[forgotten]'] and {BEN}; \"[forgotten]\"\n"

    def test_other_programs_databases_are_named(self, store: ResultsStore, machine: Path) -> None:
        label(store, ANNA)
        (machine / "prefect").mkdir()
        (machine / "prefect" / "prefect.db").write_bytes(f"x{json.dumps(ANNA)}x".encode())
        assert forget(store, ANNA).databases == (machine / "prefect" / "prefect.db",)


class TestWhatOthersMustDo:
    def test_files_that_are_still_there_are_named(
        self, store: ResultsStore, commit: Callable[..., None], tmp_path: Path
    ) -> None:
        clip = tmp_path / "ä b.mp4"
        clip.write_bytes(b"film")
        commit("one", "ä b.mp4", uri=clip.as_uri())
        commit("two", "gone.mp4", uri=(tmp_path / "gone.mp4").as_uri())
        assert forget(store, "*.mp4").still_there == (clip.as_uri(),)

    @DISK_AND_BUCKET
    def test_a_run_that_writes_is_not_disturbed(self, store: ResultsStore) -> None:
        label(store, ANNA)
        wanted, found = plan_forgetting(store.location, ANNA, None)
        if is_remote(store.location):
            store.folder.write(f"{ALIVE}/run1", b"")
            with pytest.raises(StoreError, match="a run writes here"):
                forget_clips(store.location, wanted, found.amount)
            store.folder.remove(f"{ALIVE}/run1")
        else:
            with store.lock(), pytest.raises(StoreError, match="another run is writing here"):
                forget_clips(store.location, wanted, found.amount)
        assert rows_of(store, ANNA).keys() == {LABELS}
        forget_clips(store.location, wanted, found.amount)
        assert rows_of(store, ANNA) == {}

    def test_what_killed_processes_wrote_aside_goes(self, filled: ResultsStore) -> None:
        names = ["forgetting/.x.json-12.tmp", "labels/.x.parquet-12.tmp", "runs/.y.parquet-12.tmp"]
        for name in names:
            filled.folder.write(name, ANNA.encode())
        root = Path(filled.location)
        os.utime(root / names[1], (1, 1))  # the last one may be being written
        forget(filled, BEN)
        assert [(root / name).exists() for name in names] == [False, False, True]

    def test_damaged_parts_are_an_error_and_those_aside_go(self, filled: ResultsStore) -> None:
        store = filled
        whole = store.folder.read(f"{SCORES}/run1-00000.parquet")
        store.folder.write("damaged/scores-x", whole)
        store.folder.write("damaged/scores-y", whole[:100])
        forget(store, ANNA)
        assert list(store.folder.files("damaged")) == []
        store.folder.write(f"{TRANSCRIPTS}/run3-00000.parquet", whole[:-20])
        with pytest.raises(StoreError, match=r"is damaged, and may hold what .* `emi verify"):
            plan_forgetting(store.location, BEN, None)


def test_several_stores_at_once(
    filled: ResultsStore,
    place_store: Callable[..., ResultsStore],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results, labels = filled, place_store(tmp_path / "labels")
    label(labels, ANNA, "anna/3.mp4", BEN)
    monkeypatch.chdir(tmp_path)
    for store in ("labels", "filled/../labels"):  # the second call forgets what came since
        others = [store, str(tmp_path / "labels"), "filled"]
        wanted, found = plan_forgetting("filled", None, "anna", others)
        forget_clips("filled", wanted, found.amount, others)
        assert files_naming(results.folder, *NAMES) == set()
        assert files_naming(labels.folder, "anna") == set()
        assert list(found.amount.num_rows) == [str(tmp_path / "filled"), str(tmp_path / "labels")]
        label(labels, "anna/4.mp4")
