"""What Prefect's server sees: deployments, events, artifacts, names of runs, its early start."""
