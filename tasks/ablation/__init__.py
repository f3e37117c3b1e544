"""Ablations as in the paper's Table 2: a training for each cell and seed, and a report."""
