"""Runs ffmpeg within limits, and reads what it wrote: the samples of a track, pictures of another.

Takes tracks of files and gives their samples and pictures, as complete as the file lets them be.
"""
