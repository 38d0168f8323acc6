"""Augmentation of training clips.

In: waveforms, float32 (samples,) at 16 kHz, or spectrograms, (clips, frames, bins). Out: changed copies of the same
kind. Draws come from the random number generators that the caller seeded.
"""
