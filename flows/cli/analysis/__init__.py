"""Verbs of those who study scores: questions, metadata, reports, pages, exports."""
