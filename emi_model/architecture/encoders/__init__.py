"""Networks that branches encode with: those of `transformers`, and a few written here."""
