"""Questions about clips: their scores, words and seconds."""
