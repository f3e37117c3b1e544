"""The main job: clips extracted, scored on Ray, committed to a store, recorded as a run."""
