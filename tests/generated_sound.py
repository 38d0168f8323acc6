"""The generated voice of the tests."""

from train.augment.voice import RATE, speech_like


__all__ = ["RATE", "speech_like"]
