"""The report: one HTML page over a results store, from aggregates, that opens anywhere, offline."""
