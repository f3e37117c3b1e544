"""The SQL of the views: over clips and transcripts, labels and explanations."""
