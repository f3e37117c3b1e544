"""Prefect flows and the `emi` command."""

import os

# Read by Prefect, Ray, MLflow and OpenMP when they are loaded, so this has to come first. Nothing
# of a run is reported to the libraries' makers. Waiting threads sleep: where decoders or another
# program share the cores, threads that spin at a barrier make a step ten times slower (measured).
# oneDNN keeps 1,024 compiled shapes unless told otherwise, and every batch has its own: memory
# would grow.
for _name, _value in {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
    "OMP_WAIT_POLICY": "passive",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}.items():
    os.environ.setdefault(_name, _value)
