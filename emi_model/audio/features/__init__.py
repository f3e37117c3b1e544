"""Features of a voice by numpy alone: frames, MFCC, pitch, descriptors, functionals, audio words.

Imports the files of the audio folder; loads no PyTorch.
"""
