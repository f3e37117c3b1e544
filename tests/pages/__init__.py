"""Checks of pages in a real browser: `python -m tests.pages`, where Chromium is installed."""
