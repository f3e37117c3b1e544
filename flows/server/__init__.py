"""The flows' side of Prefect's server: deployments, events, artifacts, run names, early start."""
