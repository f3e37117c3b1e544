"""Ready questions about a store, a file of SQL each; its first line says what is asked."""
