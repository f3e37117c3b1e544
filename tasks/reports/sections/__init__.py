"""The sections of a report: each asks the store one aggregate question and says what is missing."""
