"""Prefect flows and the `emi` command."""

import os

# Prefect, Ray, MLflow and OpenMP read these variables when imported, so they are set first. The
# libraries send no usage reports. Waiting threads sleep: if decoders or another program share
# the cores, threads that spin at a barrier make a step ten times slower (measured). By default
# oneDNN keeps 1,024 compiled shapes; every batch has its own shape, so memory would grow.
for _name, _value in {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
    "OMP_WAIT_POLICY": "passive",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}.items():
    os.environ.setdefault(_name, _value)
