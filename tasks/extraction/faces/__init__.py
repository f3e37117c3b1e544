"""Finds faces in pictures: detectors by name, in a child process that may crash without harm.

Takes RGB pictures in the order of time; gives the box of one face through all of them, and crops.
"""
