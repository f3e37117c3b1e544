"""Labels: files checked and kept as snapshots, splits, the audio of labelled clips."""
