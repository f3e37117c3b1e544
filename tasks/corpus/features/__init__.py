"""Features that other programs computed: files of arrays, one a clip, or a table of many clips."""
