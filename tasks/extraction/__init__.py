"""Turns a clip into inputs for the model, or a rejection: headers, the choice of a track, ffmpeg.

An extractor returns the input of one modality; the registry lists the extractors.
"""
