"""Speech emotion recognition with an LSTM on MFCC: configuration, feature extractor, models and recogniser.

The names below are imported on first use, because a prediction needs none of transformers' modelling code.
"""

import importlib


_MODULES = {
    "SERConfig": "configuration_ser",
    "SERFeatureExtractor": "feature_extraction_ser",
    "SERForAudioClassification": "modeling_ser",
    "SERModel": "modeling_ser",
    "EmotionRecognizer": "recognizer",
    "Prediction": "recognizer",
    "AudioError": "audio_io",
    "load_audio": "audio_io",
}

__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
