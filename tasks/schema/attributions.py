"""The Arrow schema of attributions: where a clip's scores come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from emi_model.attribution.contributions import Attribution, Kind
from emi_model.errors import StoreError
from emi_model.targets import column_name
from tasks.schema.fields import DOUBLE, FLOAT, TEXT, described, required

TOLERANCE = 1e-4
"""Between a score and its base with all contributions, where scores are about 1."""

WHY = described(
    "why",
    TEXT,
    "modalities|all",
    "what the clip's rows in attributions are of, all: modalities and seconds; null: it has none",
)

_UNIT = "about 0..1, unbounded"

ATTRIBUTION_ITEM = pa.struct(
    [
        required("target", TEXT, "", "column of scores that this is about, as joy"),
        required("kind", TEXT, "|".join(Kind), "what contributes"),
        described("name", TEXT, "", "the modality; null for seconds and the remainder"),
        described(
            "reference",
            TEXT,
            "",
            "what stands in the modality's place without it: the model's learnt token; where the "
            "model needs it, silence, a full stop, grey pictures, a series' mean, or zeros",
        ),
        described("start_seconds", DOUBLE, "s", "where the second begins in the recording"),
        described("end_seconds", DOUBLE, "s", "where it ends, exclusive"),
        required(
            "value",
            FLOAT,
            _UNIT,
            "contribution to the score: of a modality its Shapley value; of a second the score "
            "minus the score without its sound and pictures; the remainder: what seconds leave "
            "over",
        ),
        required(
            "base",
            FLOAT,
            _UNIT,
            "score without any of the clip's modalities; of seconds and the remainder: with the "
            "sound and pictures of no second",
        ),
        required(
            "score",
            FLOAT,
            _UNIT,
            "base plus all contributions of modalities; also base plus those of seconds and the "
            "remainder: the clip's score in fp32, not clipped",
        ),
    ]
)


def attribution_rows(
    found: Attribution,
    targets: Sequence[str],
    start_seconds: Callable[[int], float],
    end_seconds: Callable[[int], float],
) -> list[dict[str, Any]]:
    """Return rows under `ATTRIBUTION_ITEM`, one a target and contribution.

    Args:
        found: of a clip.
        targets: the model's.
        start_seconds: returns the time in the recording at which a sample begins.
        end_seconds: returns the time at which the sample before ends.
    """
    return [
        {
            "target": target,
            "kind": one.kind.value,
            "name": one.name,
            "reference": one.reference,
            "start_seconds": None if one.start is None else start_seconds(one.start),
            "end_seconds": None if one.end is None else end_seconds(one.end),
            "value": value,
            "base": base,
            "score": score,
        }
        for one in found.contributions
        for target, value, base, score in zip(
            map(column_name, targets),
            one.value.tolist(),
            found.base_of(one.kind).tolist(),
            found.score.tolist(),
            strict=True,
        )
    ]


def check_sums(attributions: pa.Table) -> None:
    """Check that base and contributions add up to each score.

    Args:
        attributions: rows under `ATTRIBUTION_ITEM`, with ``clip_id``.

    Raises:
        StoreError: they differ by more than `TOLERANCE`.
    """
    of_modalities = pc.equal(attributions["kind"], Kind.MODALITY.value)
    sums = (
        attributions.append_column("of_modalities", of_modalities)
        .group_by(["clip_id", "target", "of_modalities"])
        .aggregate([("value", "sum"), ("base", "max"), ("score", "max")])
    )
    score = pc.cast(sums["score_max"], DOUBLE)
    gap = pc.abs(pc.subtract(pc.add(sums["value_sum"], sums["base_max"]), score))
    allowed = pc.multiply(pc.max_element_wise(pc.abs(score), 1.0), TOLERANCE)
    wrong = sums.filter(pc.greater(gap, allowed))
    if wrong.num_rows:
        row = wrong.slice(0, 1).to_pylist()[0]
        raise StoreError(
            f"{row['clip_id']}: contributions to {row['target']} add up to "
            f"{row['value_sum'] + row['base_max']:.6f}, expected {row['score_max']:.6f}: the part "
            "was not written"
        )
