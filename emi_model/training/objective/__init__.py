"""What a training minimises: losses, numbers of raters, the loss of a batch.

Imports architecture and the files of the training folder that describe clips and settings.
"""
