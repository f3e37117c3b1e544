"""The verbs about models and labels, one file each; `train` holds `retrain` and `recipes` too."""
