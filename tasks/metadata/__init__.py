"""What a study knows of its clips and speakers: files checked and kept as versions of a table."""
