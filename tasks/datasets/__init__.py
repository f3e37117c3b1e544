"""Published folder layouts of affect data sets: read into the label table that a store takes."""
