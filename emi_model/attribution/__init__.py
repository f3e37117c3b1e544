"""What a score comes from: the share of each modality and of each second of a clip.

Takes a loaded model and a clip's inputs; gives contributions that add up to the score.
"""
