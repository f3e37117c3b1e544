"""From a clip and its scores to sentences that cite seconds, words and measurements.

Measurements become `evidence`, evidence becomes `facts`; a sentence is shown only if every second,
word and number in it is one of them (`support`).
"""
