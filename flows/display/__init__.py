"""What a person reads in the terminal: tables, figures, the progress bar."""
