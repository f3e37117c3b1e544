"""The verbs about a corpus and its results, one file each; `flows.cli.learning` has the others."""
