"""A report's numbers are those of SQL; it needs nothing from outside; others' text stays text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest

from emi_model.targets import VAD_DIMENSIONS
from tasks.asking.groups import group_statistics
from tasks.reports.report import Report, make_report
from tasks.store.query import answer
from tests.reported import CONDITIONS, TARGETS, write_store
from tests.tasks.reports.pages import Page, number

NUM_CLIPS = 600
SCORED = [*TARGETS, *VAD_DIMENSIONS]


@pytest.fixture(scope="module")
def long_used(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_store(tmp_path_factory.mktemp("reports") / "store", NUM_CLIPS).location


@pytest.fixture(scope="module")
def report(long_used: str) -> Report:
    return make_report(long_used)


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(report.html)


@pytest.fixture(scope="module")
def ask(long_used: str) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """Return a function that asks the same rows in a database of their own: it is quicker."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for view in ("scores", "trusted_scores", "timeline", "labels", "evaluations", "runs"):
            connection.register(view, answer(long_used, f"FROM {view}"))
        yield lambda sql: connection.sql(sql).to_arrow_table().to_pylist()


class TestNumbers:
    """Each is read in the page and asked of the store."""

    def test_the_head(self, page: Page, ask: Any, report: Report) -> None:
        (found,) = ask(
            "SELECT count(*) AS clips, count(*) FILTER (status = 'scored') AS scored, "
            "round(sum(scored_seconds) / 3600, 2) AS hours FROM scores"
        )
        assert page.text("strong")[:6] == [
            f"{found['clips']:,}",
            f"{found['scored']:,}",
            f"{found['clips'] - found['scored']:,}",
            f"{found['hours']:.2f}",
            str(NUM_CLIPS // 10),
            "4",
        ]
        assert report.num_clips == NUM_CLIPS

    @pytest.mark.parametrize("view", ["trusted_scores", "labels"])
    def test_mean_deviation_quantiles(self, view: str, page: Page, ask: Any) -> None:
        what = "scores" if view == "trusted_scores" else "labels"
        table = page.rows("Mean, standard deviation and quantiles")
        for name in SCORED if view == "trusted_scores" else TARGETS:
            (found,) = ask(
                f"SELECT count({name}) AS n, avg({name}) AS mean, stddev_samp({name}) AS sd, "
                f"median({name}) AS half, quantile_cont({name}, 0.95) AS high FROM {view}"
            )
            cells = table[f"{_titled(name)}, {what}"]
            assert [number(cells[place]) for place in (0, 1, 2, 5, 7)] == pytest.approx(
                [found[key] for key in ("n", "mean", "sd", "half", "high")], abs=6e-4
            )

    @pytest.mark.parametrize("name", SCORED)
    def test_the_bins(self, name: str, page: Page, ask: Any) -> None:
        table = page.tables[f"Clips by {_titled(name)}"]
        assert table[0] == ["from, to", "scores", *(["labels"] if name in TARGETS else [])]
        for place, view in enumerate(("trusted_scores", "labels")[: len(table[0]) - 1], start=1):
            found = ask(
                f"SELECT least(floor({name} * 20::FLOAT), 19)::INTEGER AS bin, count(*) AS n "
                f"FROM {view} GROUP BY ALL"
            )
            counted = {round(20 * float(row[0].split()[0])): int(row[place]) for row in table[1:]}
            if name in VAD_DIMENSIONS:  # 1 itself has a bin of its own
                counted[19] += counted.pop(20, 0)
            assert {bin_: n for bin_, n in counted.items() if n} == {
                row["bin"]: row["n"] for row in found
            }

    def test_durations(self, page: Page, ask: Any) -> None:
        seconds = "greatest(declared_seconds, duration_seconds)"
        (found,) = ask(
            f"SELECT count(*) AS n, avg({seconds}) AS mean, "
            f"quantile_cont({seconds}, 0.95) AS high, max({seconds}) AS longest "
            "FROM scores WHERE status = 'scored'"
        )
        (cells,) = page.rows("Durations in seconds").values()
        assert [number(cells[place]) for place in (0, 1, 4, 6)] == pytest.approx(
            [found[key] for key in ("n", "mean", "high", "longest")], abs=6e-4
        )
        bins = page.rows("Clips by duration")
        assert sum(int(cells[0]) for cells in bins.values()) == found["n"]
        long = sum(int(cells[0]) for name, cells in bins.items() if number(name.split()[0]) >= 16)
        (over,) = ask(f"SELECT count(*) AS n FROM scores WHERE {seconds} >= 16")
        assert long == over["n"]

    @pytest.mark.parametrize("view", ["trusted_scores", "labels"])
    def test_correlations(self, view: str, page: Page, ask: Any) -> None:
        columns = SCORED if view == "trusted_scores" else TARGETS
        what = "scores" if view == "trusted_scores" else "labels"
        table = page.rows(f"Correlations among {what}")
        for row, name in enumerate(columns):
            for column, other in enumerate(columns[:row]):
                (found,) = ask(f"SELECT corr({name}, {other}) AS r FROM {view}")
                assert number(table[_titled(name)][column]) == pytest.approx(found["r"], abs=6e-4)

    def test_density(self, page: Page, ask: Any) -> None:
        caption = "Clips by arousal (rows) and valence (columns), in tenths"
        head, *rows = page.tables[caption]
        cells = {
            (name.removeprefix("from "), row[0].removeprefix("from ")): int(cell)
            for row in rows
            for name, cell in zip(head[1:], row[1:], strict=True)
        }
        found = ask(
            "SELECT floor(floor(valence * 40) / 4) / 10 AS v, floor(floor(arousal * 40) / 4) / 10 "
            "AS a, count(*) AS n FROM trusted_scores GROUP BY ALL"
        )
        assert {place: n for place, n in cells.items() if n} == {
            (f"{row['v']:.1f}", f"{row['a']:.1f}"): row["n"] for row in found
        }

    def test_groups(self, page: Page, long_used: str) -> None:
        found = group_statistics(long_used, "condition").comparison
        for mean in found.means:
            cells = page.rows(f"{_titled(mean.column)} by group")[mean.group]
            assert [number(cell) for cell in cells] == pytest.approx(
                [
                    *(mean.mean.value, mean.mean.low, mean.mean.high),
                    *(mean.deviation, mean.num_clips, mean.num_speakers),
                ],
                abs=6e-4,
            )
        (caption,) = [name for name in page.tables if name.startswith("Differences between groups")]
        shown = {row[0]: row[1:] for row in page.tables[caption][1:]}
        assert set(shown) == set(map(_titled, SCORED))
        for one in found.differences:
            cells = shown[_titled(one.column)]
            assert cells[:2] == [one.group, one.other] == [*CONDITIONS]
            known = [one.difference.value, one.difference.low, one.difference.high, one.effect_size]
            assert [number(cell) for cell in cells[2:6]] == pytest.approx(known, abs=6e-4)
            assert number(cells[6]) == pytest.approx(one.p_holm, abs=6e-3)

    def test_leaders_and_their_seconds(self, page: Page, ask: Any) -> None:
        figures = page.text("figcaption") + page.text("strong") + page.text("span")
        for name in TARGETS:
            found = ask(f"SELECT clip_id, {name} AS n FROM trusted_scores ORDER BY n DESC LIMIT 3")
            for row in found:
                assert row["clip_id"] in figures
                assert f"{_titled(name)} {row['n']:.3f}, 1 clip" in figures
            seconds = ask(
                f"SELECT second, arousal, dominance, valence FROM timeline "
                f"WHERE clip_id = '{found[0]['clip_id']}' ORDER BY second"
            )
            table = page.tables[f"Arousal, dominance, valence by second of {found[0]['clip_id']}"]
            assert [[number(cell) for cell in row] for row in table[1:]] == [
                pytest.approx(list(row.values()), abs=6e-4) for row in seconds
            ]

    def test_quality(self, page: Page, ask: Any) -> None:
        for caption, column, status in (
            ("Rejected clips by reason", "reason", "rejected"),
            ("Audio codecs", "codec", "scored"),
            ("Sampling rates", "sampling_rate", "scored"),
            ("Warnings about the sound", "unnest(flags)", "scored"),
        ):
            found = ask(
                f"SELECT name, count(*) AS n FROM (SELECT {column} AS name FROM scores "
                f"WHERE status = '{status}') GROUP BY ALL"
            )
            table = page.rows(caption)
            shown = {name: int(number(cells[0])) for name, cells in table.items()}
            assert {name: n for name, n in shown.items() if n} == {
                str(row["name"]): row["n"] for row in found
            }
        levels = page.rows("Loudness (RMS level, dBFS)")
        (low,) = ask("SELECT count(*) AS n FROM scores WHERE rms_dbfs < -40 AND status = 'scored'")
        assert low["n"] == sum(
            int(cells[0]) for name, cells in levels.items() if number(name.split()[0]) < -40
        )

    def test_models(self, page: Page, ask: Any) -> None:
        found = ask("SELECT * FROM evaluations WHERE target = 'mean' ORDER BY evaluated_at DESC")
        table = page.rows("The mean over the targets")
        assert list(table) == [row["model"] for row in found]
        for row in found:
            wanted = [row["pearson"], row["pearson_low"], row["pearson_high"], row["num_clips"]]
            cells = table[row["model"]][1:5]
            assert [number(cell) for cell in cells] == pytest.approx(wanted, abs=6e-4)
        assert [*page.rows("By target: generated (valid)")][-1] == "Joy"

    def test_drift(self, page: Page, ask: Any) -> None:
        runs = ask(
            "SELECT run_id, avg(joy) AS mean, stddev_samp(joy) AS sd FROM trusted_scores "
            "GROUP BY ALL ORDER BY run_id"
        )
        table = page.rows("Difference of means, in standard deviations of the first run")
        assert list(table) == [row["run_id"] for row in runs[1:]]
        for row in runs[1:]:
            d = (row["mean"] - runs[0]["mean"]) / runs[0]["sd"]
            assert number(table[row["run_id"]][2 + SCORED.index("joy")]) == pytest.approx(
                d, abs=6e-4
            )

    def test_runs(self, page: Page, ask: Any) -> None:
        found = ask("FROM runs ORDER BY started_at DESC")
        rows = page.tables["Runs, the latest first"][1:]
        assert [(row[0], row[6]) for row in rows] == [
            (f"{row['started_at']:%Y-%m-%d %H:%M} UTC", str(row["num_scored"])) for row in found
        ]

    def test_every_column_is_explained(self, page: Page) -> None:
        table = page.rows("Columns")
        assert {*SCORED, "duration_seconds", "reason"} <= table.keys()
        assert table["arousal"][0] == "arousal: mean over the frames."


class TestThePage:
    def test_it_asks_nobody_for_anything(self, report: Report, page: Page) -> None:
        assert "http" not in re.sub(r'http-equiv="', "", report.html)
        assert "url(" not in report.html
        assert "@import" not in report.html
        assert {page.count(tag) for tag in ("script", "link", "img", "iframe", "object")} == {0}
        assert [one for one in page.every("a") if not str(one["href"]).startswith("#")] == []
        sources = [one["src"] for _, one in page.elements if "src" in one]
        assert sources == []  # without players
        assert {name for _, one in page.elements for name in one if name.startswith("on")} == set()
        (policy,) = [one["content"] for one in page.every("meta") if "http-equiv" in one]
        assert str(policy).startswith("default-src 'none'")

    def test_screen_readers_get_a_name_words_and_numbers(self, page: Page) -> None:
        pictures = page.every("svg")
        assert len(pictures) == page.count("figure") == page.count("desc") > 30
        assert len(page.text("title")) == len(pictures) + 1
        assert len(page.text("desc")) == len(pictures)
        ids = [one["id"] for _, one in page.elements if "id" in one]
        assert len(ids) == len(set(ids))
        for one in pictures:
            assert one["role"] == "img"
            assert set(str(one["aria-labelledby"]).split()) <= set(ids)
        assert {str(one["href"])[1:] for one in page.every("a")} <= set(ids)
        assert page.count("details") == page.count("figure")

    def test_every_figure_says_how_many_clips_stand_behind_it(self, report: Report) -> None:
        captions = re.findall(r"<figcaption>.*?</figcaption>", report.html, re.DOTALL)
        assert captions
        assert [one for one in captions if not re.search(r"<span>.*\d+ clip", one)] == []

    def test_it_follows_the_readers_colours_and_printer(self, report: Report) -> None:
        assert "prefers-color-scheme: dark" in report.html
        assert "@media print" in report.html

    def test_it_stays_small(self, report: Report) -> None:
        assert len(report.html.encode()) < 300_000


def _titled(name: str) -> str:
    return name.replace("_", " ").capitalize()
