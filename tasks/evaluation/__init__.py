"""A model compared with labels: metrics with intervals, plots, the decision on a promotion."""
