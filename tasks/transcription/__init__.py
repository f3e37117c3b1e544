"""Speech to text: a waveform becomes a transcript, by a Whisper model that faster-whisper runs.

Takes a waveform and settings, gives a transcript; where nobody speaks, an empty one.
"""
