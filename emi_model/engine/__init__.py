"""The fast forward pass of the audio branch: clips without padding, in fp32, bf16 or int8.

Imports architecture and audio.
"""
