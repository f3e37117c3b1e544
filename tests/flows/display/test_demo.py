import io
from pathlib import Path

import pyarrow as pa

from emi_model.metrics.agreement import TargetMetrics
from flows.display.demo import DemoReport, show_demo


def test_the_demo_shows_its_correlations_rejections_and_answers():
    report = DemoReport(
        metrics={"Joy": TargetMetrics(0.75, 0.7, 0.1), "Fear": TargetMetrics(0.25, 0.2, 0.1)},
        num_held_out=40,
        rejections=pa.table({"clip_id": ["a.mp4"], "reason": ["too_short"], "detail": ["a word"]}),
        answers={
            "Which clips sound most joyful?": pa.table({"clip_id": ["b.mp4"], "joy": [0.875]})
        },
    )
    assert report.mean_pearson == 0.5
    out = io.StringIO()
    show_demo(report, Path("a/long/path" * 9), out)
    text = out.getvalue()
    assert "Pearson on 40 clips of speakers held out of training:" in text
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines()]
    for row in (
        ["Joy", "0.750"],
        ["Fear", "0.250"],
        ["mean", "0.500"],
        ["a.mp4", "too_short", "a word"],
        ["b.mp4", "0.875"],
    ):
        assert row in cells
    assert text.index("Rejected") < text.index("a.mp4") < text.index("most joyful?")
    assert text.endswith(
        "emi process FOLDER --results DIR --model " + "a/long/path" * 9 + "/model\n"
    )
