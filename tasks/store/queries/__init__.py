"""What a results store is asked: stored questions, one a file; views over clips; own tables."""
