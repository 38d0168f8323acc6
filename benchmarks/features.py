"""MFCC of our extractor against librosa's, on one thread: one clip of 3 s, and a batch of 32."""

import librosa
import numpy as np
import torch

from benchmarks.measuring import Outcome, compared, seconds_in_turns
from ser_model.feature_extraction_ser import SERFeatureExtractor


ROUNDS = 30
BATCH = 32
SECONDS = 3


def run() -> list[Outcome]:
    """Both comparisons."""
    torch.set_num_threads(1)
    extractor = SERFeatureExtractor()
    rate = extractor.sampling_rate
    generator = np.random.default_rng(0)
    clips = [generator.normal(0, 0.1, SECONDS * rate).astype(np.float32) for _ in range(BATCH)]

    def peer(batch: list[np.ndarray]) -> None:
        for clip in batch:
            librosa.feature.mfcc(
                y=clip,
                sr=rate,
                n_mfcc=extractor.n_mfcc,
                n_mels=extractor.n_mels,
                n_fft=extractor.n_fft,
                win_length=extractor.win_length,
                hop_length=extractor.hop_length,
            )

    outcomes = []
    for name, batch, bar in (("MFCC of one clip", clips[:1], 1.5), (f"MFCC of a batch of {BATCH}", clips, 3.0)):
        ways = {
            "ours": lambda batch=batch: extractor(batch, sampling_rate=rate, return_tensors="pt"),
            "librosa": lambda batch=batch: peer(batch),
        }
        ours, theirs = (1e3 * seconds for seconds in seconds_in_turns(ways, ROUNDS).values())
        outcomes.append(compared(name, "librosa", ours, theirs, "ms", bar, "faster"))
    return outcomes
