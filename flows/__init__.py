"""Prefect flows and the `emi` command."""

import os

# Read by Prefect and Ray when they are imported, so it has to come first: nothing of a run is
# reported to their makers.
for _name, _value in {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}.items():
    os.environ.setdefault(_name, _value)
