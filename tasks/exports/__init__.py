"""Exports: what a results store holds, in the formats of other tools, a small file a format."""
