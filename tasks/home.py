"""EMI_HOME: the folder for files of no single corpus or results store.

~/.emi/mlflow.db      the registry, where no server is named
~/.emi/artifacts/     what it keeps of trainings and models
~/.emi/cache/         audio of labelled clips
~/.emi/training/      state of trainings that are not done
~/.emi/models/        models fetched from a server or a bucket
~/.emi/parts/         parts of results stores in buckets, at most 4 GiB
"""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Return ``EMI_HOME``, else ``~/.emi``, absolute; the code that writes there makes it."""
    return Path(os.environ.get("EMI_HOME") or "~/.emi").expanduser().absolute()
