"""Pictures: what they show, and that text in them stays text."""

import pytest

from tasks.reports.drawing.canvas import Drawing, shortened, ticks
from tasks.reports.drawing.heat import colour_matrix, density, two_digits
from tasks.reports.drawing.histograms import BinCounts, bars, histogram
from tasks.reports.drawing.lines import Interval, intervals, timeline
from tests.tasks.reports.pages import Page


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.13, 0.58, [0.2, 0.3, 0.4, 0.5]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (0, 23.4, [0, 5, 10, 15, 20]),
        (3, 3, [3]),
    ],
)
def test_round_ticks(low, high, found):
    assert ticks(low, high) == found


def test_text_is_escaped_and_long_text_loses_its_middle():
    drawing = Drawing(10, 10, "<b>", "a & b")
    drawing.text(1, 2, '<script>"')
    page = Page(drawing.svg())
    assert (page.text("text"), page.text("title"), page.text("desc")) == (
        ['<script>"'],
        ["<b>"],
        ["a & b"],
    )
    assert page.count("script") == 0
    assert shortened("abcdefghij", 7) == "abc…hij"
    assert shortened("abc", 7) == "abc"


def test_bins_are_as_tall_as_their_shares():
    counts = BinCounts.of({0: 1, 3: 3}, 0, 4)
    assert counts.shares() == [0.25, 0, 0, 0.75]
    assert BinCounts.of({-2: 1, 5: 1}, 0, 4).first == -2
    assert len(BinCounts.of({-2: 1, 5: 1}, 0, 4).counts) == 8
    page = Page(histogram("a", "b", counts, [(0, "0"), (4, "1")]))
    heights = [float(one["height"]) for one in page.every("rect")]
    assert len(heights) == 2
    assert heights[1] / heights[0] == pytest.approx(3, rel=0.01)


def test_a_histogram_of_nothing_is_a_picture_all_the_same():
    page = Page(histogram("a", "b", BinCounts.of(None, 0, 4), [], other=BinCounts.of({}, 0, 4)))
    assert page.count("rect") == 0
    assert Page(bars("a", "b", [])).count("svg") == 1


def test_two_distributions_share_their_axes():
    page = Page(
        histogram("a", "b", BinCounts(0, [1, 1]), [], other=BinCounts(-1, [2, 0, 2]), line=0.5)
    )
    kinds = [one["class"] for one in page.every("path")]
    assert ("outline" in kinds, "mark" in kinds) == (True, True)


def test_colours_say_the_sign_and_the_size():
    found = {(0, 0): 1.0, (1, 0): -0.5, (1, 1): None}
    page = Page(colour_matrix("a", "b", ["x", "y"], ["v", "w"], found))
    cells = [(one["class"], float(one["fill-opacity"])) for one in page.every("rect")]
    assert cells == [("above", 0.6), ("below", 0.3), ("above", 0.0)]
    assert [two_digits(value) for value in (0.816, -0.5, 1.0, -0.004, None)] == [
        *(".82", "-.50", "1.00", ".00", "-")
    ]


def test_density_spans_what_lies_outside():
    page = Page(density("a", "b", {(-2, 4): 1, (3, 12): 100}, ("x", "y"), 0.1))
    one, two = page.every("rect")
    assert float(one["fill-opacity"]) < float(two["fill-opacity"]) == 1
    assert float(one["y"]) > float(two["y"])
    assert all(0 <= float(cell["x"]) <= 345 for cell in (one, two))


def test_intervals_hold_their_points_and_say_what_is_undefined():
    rows = [
        Interval("a", 0.5, 0.4, 0.7),
        Interval("b", None, None, None),
        Interval("c", 0, None, None),
    ]
    page = Page(intervals("t", "d", rows, "axis", zero=True))
    assert page.count("circle") == 2
    assert "undefined" in page.text("text")
    assert [one["class"] for one in page.every("path")].count("interval") == 1
    (line,) = [one["d"] for one in page.every("path") if one["class"] == "interval"]
    left, right = (float(point.split()[0]) for point in str(line)[1:].split("L"))
    assert left < float(page.every("circle")[0]["cx"]) < right


def test_a_timeline_has_gaps_where_values_lack_and_labels_apart():
    series = [
        ("arousal", [0.1, None, 0.3]),
        ("dominance", [0.5, 0.5, 0.3]),
        ("valence", [0, 0, 0.3]),
    ]
    page = Page(timeline("t", "d", [0, 1, 2], series))
    lines = [one["class"] for one in page.every("path") if str(one["class"]).startswith("line")]
    assert sorted(lines) == ["line first", "line first", "line second", "line third"]
    labels = [
        float(one["y"])
        for one in page.every("text")
        if str(one["class"]).split()[-1] in ("first", "second", "third")
    ]
    assert all(abs(a - b) >= 13 for a in labels for b in labels if a != b)
    assert len(set(labels)) == 3
    assert Page(timeline("t", "d", [], [])).count("circle") == 0
