"""The measured speed of a machine, as JSON and as rows of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from emi_model.speed.machine import Machine, Peak
from emi_model.speed.media_files import FilesIn
from emi_model.speed.throughput import ModelAlone, Throughput

ReportLine = tuple[str, str]


@dataclass
class Speed:
    """All measurements of one model on one machine.

    Attributes:
        machine: that was measured.
        model: its folder, or a note that its weights are random.
        num_weights: of the model.
        gflops_per_audio_second: operations for a second of audio, in clips of 6.9 s, 10^9.
        peaks: fastest product of matrices by type.
        plain: one clip a call in float32; None if it was not measured.
        alone: the model alone, by precision asked for.
        files: from file to score; None without files.
    """

    machine: Machine
    model: str
    num_weights: int
    gflops_per_audio_second: float
    peaks: dict[str, Peak] = field(default_factory=dict)
    plain: Throughput | None = None
    alone: dict[str, ModelAlone] = field(default_factory=dict)
    files: FilesIn | None = None

    def share_of_peak(self, precision: str) -> float:
        """Return the model's operations a second over those of the product in its type."""
        alone = self.alone[precision]
        return alone.flops_per_second / self.peaks[alone.numerics].flops_per_second

    def times_plain(self, precision: str) -> float | None:
        """Return how many times as fast as the plain way the model is; None without that way."""
        if self.plain is None:
            return None
        return self.alone[precision].audio_hours_per_hour / self.plain.audio_hours_per_hour

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain types for JSON, derived figures included."""
        content = asdict(self)
        if self.plain is not None:
            content["plain"] = rates(self.plain)
        if self.files is not None:
            content["files"] = rates(self.files) | {"busy_share": self.files.busy_share}
        content["alone"] = {
            precision: {
                **rates(alone),
                "share_of_peak": self.share_of_peak(precision),
                "times_plain": self.times_plain(precision),
            }
            for precision, alone in self.alone.items()
        }
        return content

    def rows(self) -> list[ReportLine]:
        """Return each figure with its value, as text."""
        rows = [
            ("machine", _machine_line(self.machine)),
            ("model", f"{self.model}, {self.num_weights / 1e6:.1f} million weights"),
            ("operations", f"{self.gflops_per_audio_second:.1f} GFLOP a second of audio"),
        ]
        for numerics, peak in self.peaks.items():
            shape = " x ".join(map(str, peak.shape))
            where = "" if self.machine.gpu else f", {peak.threads} threads"
            best, usual = (
                rate / 1e12 for rate in (peak.flops_per_second, peak.median_flops_per_second)
            )
            text = f"{best:.3f} TFLOP/s, median {usual:.3f} ({shape}{where})"
            rows.append((f"fastest product of matrices, {numerics}", text))
        if self.plain is not None:
            rows.append(("plain way: one clip a call, fp32", throughput_text(self.plain)))
        for precision, alone in self.alone.items():
            name = precision if precision == alone.numerics else f"{precision} ({alone.numerics})"
            rows += self._alone_rows(f"model alone, {name}", precision)
        if self.files is not None:
            rows += _file_rows(self.files)
        return rows

    def _alone_rows(self, name: str, precision: str) -> list[ReportLine]:
        alone, times = self.alone[precision], self.times_plain(precision)
        rows = [
            (name, f"{throughput_text(alone)}, {alone.clips_per_call} clips a call"),
            (f"{name}: share of the peak", f"{self.share_of_peak(precision):.2f}"),
        ]
        if times is not None:
            rows.append((f"{name}: over the plain way", f"{times:.2f} times as fast"))
        rows.append((f"{name}: padding", f"{alone.padding_share:.3f}"))
        if alone.gpu_peak_bytes is not None:
            rows.append((f"{name}: GPU memory", f"{alone.gpu_peak_bytes / 2**30:.1f} GiB"))
        return rows


def throughput_text(found: Throughput) -> str:
    """Return a throughput in words."""
    a_clip = found.milliseconds_per_clip
    digits = 0 if a_clip >= 100 else 1 if a_clip >= 10 else 3
    return f"{found.audio_hours_per_hour:.1f} audio-hours per hour, {a_clip:.{digits}f} ms a clip"


def markdown(rows: Sequence[ReportLine]) -> str:
    """Return rows as a Markdown table."""
    lines = [f"| {figure} | {measured} |" for figure, measured in rows]
    return "\n".join(["| figure | measured |", "|---|---|", *lines])


def _machine_line(machine: Machine) -> str:
    parts = (machine.gpu, machine.processor, f"{machine.cores} cores", f"PyTorch {machine.torch}")
    return ", ".join(part for part in (*parts, machine.system) if part)


def _file_rows(files: FilesIn) -> list[ReportLine]:
    failed = f", {files.num_failed} could not be scored" if files.num_failed else ""
    return [
        (
            f"from {files.num_clips} files to scores",
            f"{throughput_text(files)}, {files.decoders} decoders{failed}",
        ),
        ("share of that time in the model", f"{files.busy_share:.2f}"),
    ]


def rates(found: Throughput) -> dict[str, Any]:
    """Return a throughput as plain types for JSON, derived figures included."""
    return asdict(found) | {
        "audio_hours_per_hour": found.audio_hours_per_hour,
        "milliseconds_per_clip": found.milliseconds_per_clip,
        "flops_per_second": found.flops_per_second,
    }
