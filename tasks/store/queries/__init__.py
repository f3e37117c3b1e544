"""Questions to a results store, one a file."""
