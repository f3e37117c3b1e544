"""Output for the terminal: tables, numbers, messages, the progress bar."""
