"""The results store: Parquet parts, views over them, questions in SQL."""
