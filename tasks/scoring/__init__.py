"""The main job: extract clips, score them on Ray, commit rows to a store, record the run."""
