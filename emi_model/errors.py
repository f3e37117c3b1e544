"""Every error this project raises on purpose.

EmiError                  found, expected, what to do: one line, exit code 2
+-- ConfigError           a setting, recipe or config out of its range
+-- CheckpointError       a model folder that is missing, incomplete or not what it says
|   +-- ModelNotFound     the reference names nothing that can be loaded
+-- AudioError            a waveform the model cannot take (empty, NaN, under one frame)
+-- OutOfMemory           one single clip does not fit, even alone
+-- TrainingError         a loss that is not finite, a split without clips
+-- CorpusError           a source without clips, a manifest that does not parse, clips in a storage
|                         that does not answer
+-- LabelError            a label file with problems, all of them listed
+-- MetadataError       a metadata file with problems, all of them listed
+-- MediaToolError        no usable ffmpeg
+-- StoreError            a results store that is locked, foreign or damaged
+-- RegistryError         MLflow or its registry cannot do what was asked, or does not answer
+-- QueryError            SQL that does not run inside the sandbox
+-- ExportError           an export that cannot be written, or would not be what it says
+-- ClusterError          Ray does not start, or a cluster cannot be joined
+-- ServerError           Prefect's server does not start, or is not reached
+-- ScoringError          the scoring cluster could not do its work
"""

from __future__ import annotations

EXIT_USAGE, EXIT_INTERRUPTED = 2, 130
"""Exit codes of both commands, `emi` and ``python -m emi_model.speed``."""


class EmiError(Exception):
    """Base of all expected errors; the message says what was found, expected, and what to do."""


class ConfigError(EmiError):
    """A setting, recipe or configuration is out of its range."""


class CheckpointError(EmiError):
    """A model folder is missing, incomplete, or not what it says it is."""


class ModelNotFound(CheckpointError):
    """The model reference names nothing that can be loaded."""


class AudioError(EmiError):
    """A waveform cannot be taken by the model."""


class OutOfMemory(EmiError):
    """A single clip does not fit into memory, even alone in its batch."""


class TrainingError(EmiError):
    """Training cannot start or go on."""


class CorpusError(EmiError):
    """The source names no clips, its manifest cannot be read, or their storage does not answer."""


class LabelError(EmiError):
    """A label file has problems; the message lists them all."""


class MetadataError(EmiError):
    """A file of metadata has problems; the message lists them all."""


class MediaToolError(EmiError):
    """No usable ffmpeg could be found."""


class StoreError(EmiError):
    """The results store is locked, foreign or damaged."""


class RegistryError(EmiError):
    """MLflow or its model registry cannot do what was asked, or does not answer."""


class QueryError(EmiError):
    """A query does not run inside the sandbox."""


class ExportError(EmiError):
    """An export cannot be written, or would not be what it says."""


class ClusterError(EmiError):
    """Ray does not start, or a cluster cannot be joined."""


class ServerError(EmiError):
    """Prefect's server does not start, or is not reached."""


class ScoringError(EmiError):
    """The scoring cluster could not do its work."""
