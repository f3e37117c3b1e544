"""The formats of other tools: each is one file that writes a selection of clips."""
