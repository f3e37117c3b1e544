"""Embeddings: a corpus becomes Parquet files of vectors, a row a clip."""
