"""Questions about runs and models: what was done, what was rejected, how models differ."""
