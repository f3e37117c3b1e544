"""A clip becomes inputs for the model, or a rejection: headers, the choice of a track, ffmpeg."""
