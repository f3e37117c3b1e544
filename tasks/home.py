"""EMI_HOME: the folder for files of no single corpus or results store.

~/.emi/mlflow.db      the registry, where no server is named
~/.emi/artifacts/     what it keeps of trainings and models
~/.emi/cache/         audio of labelled clips
~/.emi/features/      tables of features, laid out a file a clip
~/.emi/training/      state of trainings that are not done
~/.emi/models/        models fetched from a server or a bucket
~/.emi/asr/           Whisper models converted for faster-whisper
~/.emi/parts/         parts of results stores in buckets, at most 4 GiB
~/.emi/lanes.json     clips that scorers work on at a time, as found for each model
~/.emi/prefect/       Prefect's database, of `emi up` and of runs without a server
"""

from __future__ import annotations

import os
from pathlib import Path

from emi_model.errors import ConfigError


def home() -> Path:
    """Return ``EMI_HOME``, else ``~/.emi``, absolute; the code that writes there makes it.

    Raises:
        ConfigError: neither is there: no ``HOME`` either, and no entry in passwd.
    """
    try:
        return Path(os.environ.get("EMI_HOME") or "~/.emi").expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError(
            "found no home folder of this user, expected one for models and registry: set EMI_HOME "
            "to a folder that can be written"
        ) from error
