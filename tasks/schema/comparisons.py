"""The Arrow schemas of comparisons: what each trained system predicted, and what came of it."""

from __future__ import annotations

import pyarrow as pa

from tasks.schema.fields import DOUBLE, TEXT, TIME, described, required

_COUNT = pa.int64()
_COMMIT = described("commit", TEXT, "", "git commit of this project; null outside a checkout")

_CELL = [
    required("comparison", TEXT, "hex", "id of the comparison: labels, split, clips of each part"),
    required("cell", TEXT, "hex", "id of the configuration: all that decides a training but seeds"),
    required("recipe", TEXT, "", "recipe that was varied"),
    required("branches", TEXT, "", "modalities that the model takes, joined by +"),
    required("fusion", TEXT, "", "how they are fused, with arguments that are not the usual ones"),
    required("loss", TEXT, "", "loss of the training"),
]

COMPARED_CLIPS_SCHEMA = pa.schema(
    [
        *_CELL,
        required("seed", _COUNT, "", "random seed of the training"),
        required("clip_id", TEXT, "", "path of the clip's file below the corpus folder"),
        required("target", TEXT, "", "the target"),
        required("predicted", DOUBLE, "0..1", "score of a clip that neither taught nor chose"),
        required("epoch", _COUNT, "1..", "epoch whose weights were kept"),
        required("num_parameters", _COUNT, "", "number of weights in the model"),
        required("train_seconds", DOUBLE, "s", "duration of the training, on one core or GPU"),
        described("clips_per_second", DOUBLE, "clips/s", "scored from cached inputs, in float32"),
        required("memory_mib", DOUBLE, "MiB", "the most memory that the training took"),
        required("num_filled", _COUNT, "clips", "clips that lack all its modalities: mean label"),
        required("finished_at", TIME, "UTC", "when the training ended"),
        _COMMIT,
    ]
)
"""One row a clip, target and training."""


def _with_ends(name: str, unit: str, meaning: str) -> list[pa.Field]:
    return [
        described(name, DOUBLE, unit, f"{meaning}; null where undefined"),
        described(f"{name}_low", DOUBLE, unit, "lower end of its interval"),
        described(f"{name}_high", DOUBLE, unit, "upper end of its interval"),
    ]


COMPARISONS_SCHEMA = pa.schema(
    [
        *_CELL[:2],
        required("report", TEXT, "", "id of the report; the view has the latest one alone"),
        required("reported_at", TIME, "UTC", "when the report was made"),
        required("name", TEXT, "", "name of the configuration in this report"),
        *_CELL[2:],
        required("reference", TEXT, "", "name of what it is compared with; chance: a constant"),
        described("subset", TEXT, "", "which of the clips: no speech, no face, ...; null: all"),
        required("target", TEXT, "", "the target, or 'mean': the mean over all targets"),
        required("num_clips", _COUNT, "clips", "clips it was measured on"),
        described("num_speakers", _COUNT, "", "speakers of these clips; null: not recorded"),
        required("num_seeds", _COUNT, "", "trainings that are done, each with another seed"),
        required("num_failed", _COUNT, "", "trainings that failed"),
        *_with_ends("pearson", "-1..1", "mean correlation over the trainings"),
        described("pearson_sd", DOUBLE, "", "its standard deviation over the trainings"),
        *_with_ends("ccc", "-1..1", "mean concordance over the trainings"),
        described("mae", DOUBLE, "0..1", "mean absolute error, mean over the trainings"),
        described("rmse", DOUBLE, "0..1", "root of the mean squared error, likewise"),
        *_with_ends("difference", "-2..2", "pearson less that of the reference"),
        described("p", DOUBLE, "0..1", "two-sided p-value of the difference, paired bootstrap"),
        described("p_holm", DOUBLE, "0..1", "p by Holm's correction for the number of systems"),
        described("num_parameters", _COUNT, "", "number of weights in the model"),
        described("train_seconds", DOUBLE, "s", "duration of a training, mean over the seeds"),
        described("clips_per_second", DOUBLE, "clips/s", "scored from cached inputs, likewise"),
        described("memory_mib", DOUBLE, "MiB", "the most memory that a training took, likewise"),
        described("num_filled", _COUNT, "clips", "clips that lack all its modalities: mean label"),
        described("reason", TEXT, "", "why trainings failed; null: none did"),
        required("shuffled", pa.bool_(), "", "whether the labels of the training were shuffled"),
        required("snapshot", TEXT, "hex", "id of the label snapshot"),
        required("split", TEXT, "train|valid|test", "split whose clips were measured"),
        required("split_sha256", TEXT, "hex", "hash over which clip is in which split"),
        _COMMIT,
    ]
)
"""One row a configuration, subset and target, and one for the mean over the targets."""
