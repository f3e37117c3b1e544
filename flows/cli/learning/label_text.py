"""What adding labels did, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.labels.add_labels import AddReport


def report_text(report: AddReport) -> str:
    """Return what adding a label file did, in words."""
    splits = ", ".join(f"{count} {split}" for split, count in report.clips_by_split.items())
    if report.snapshot is None:
        lines = [
            f"nothing new: snapshot {report.number} has these labels of all "
            f"{report.num_unchanged} clips"
        ]
    else:
        lines = [
            f"snapshot {report.number} ({report.snapshot[:12]}): {report.num_added} clips added, "
            f"{report.num_corrected} corrected, {report.num_unchanged} unchanged"
        ]
    lines += report.notes
    lines.append(f"labelled in all: {splits}; targets: {', '.join(report.targets)}")
    if report.num_without_labels:
        lines.append(f"{report.num_without_labels} clips of the corpus have no label yet")
    return "\n".join(lines)
