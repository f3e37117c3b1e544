"""Audio backbones: a waveform becomes hidden states, the same alone and in any batch.

A family of models is one file here and a line in `registry.FAMILIES`.

| ``model_type`` | input | batches |
|---|---|---|
| ``wav2vec2`` (or none), ``hubert``, ``wavlm`` | waveform | masked; group norm: equal lengths |
| ``data2vec-audio`` | waveform | equal lengths: its positional layers carry padding inwards |
| ``wav2vec2-bert`` | 80 log-mel bands, normalised over the clip, two steps a frame | masked |
| ``whisper`` (the encoder) | 80 or 128 log-mel bands | masked |
"""
