"""The verbs of the `emi` command, one file each; `train` holds `retrain` and `recipes` too."""
