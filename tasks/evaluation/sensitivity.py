"""How much a model's figures depend on which ASR model wrote the text of the clips."""

from __future__ import annotations

from emi_model.metrics.bootstrap import PairedDifference, paired_difference
from tasks.evaluation.report import EvaluationReport


def asr_difference(report: EvaluationReport, other: EvaluationReport) -> PairedDifference | None:
    """Return mean Pearson with the other text less that with the first, on the same clips.

    Args:
        report: of a model and the text of one ASR model.
        other: of the same model and clips, with the text of another.

    Returns:
        The difference and its bounds; None where a clip is missing in one of them alone.
    """
    if report.missing.keys() != other.missing.keys():
        return None
    return paired_difference(
        other.predictions, report.predictions, report.truth, groups=report.speakers
    )
