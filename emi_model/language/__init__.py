"""Causal language models: one that writes about facts, and one that sees vectors of modalities."""
