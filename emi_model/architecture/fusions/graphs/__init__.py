"""The fusion ``graph``: modalities are nodes, between which edges are learnt.

Imports the files beside this folder.
"""
