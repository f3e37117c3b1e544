"""A clip becomes inputs for the model, or a rejection: headers, the choice of a track, ffmpeg.

An extractor gives the input of one modality; the registry knows them.
"""
