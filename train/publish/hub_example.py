"""Which emotion a voice expresses: `python example.py RECORDING` (needs torch, transformers and librosa)."""

import sys

import librosa
from transformers import pipeline


classify = pipeline("audio-classification", model="OWNER/NAME", trust_remote_code=True)
waveform, _ = librosa.load(sys.argv[1], sr=classify.feature_extractor.sampling_rate)
for entry in classify(waveform, top_k=None):
    print(f"{entry['label']:10} {entry['score']:.1%}")
