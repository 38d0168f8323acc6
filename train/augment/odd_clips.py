"""Generated clips at the edges of what a feature extractor meets, at 16 kHz, for tests."""

import numpy as np


SAMPLING_RATE = 16000


def clips() -> dict[str, np.ndarray]:
    """Odd clips: short, silent at either end, loud, faint, and of lengths around multiples of the hop."""
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 0.1, 48000).astype(np.float32)
    tone = (0.5 * np.sin(2 * np.pi * 220 * np.arange(24000) / SAMPLING_RATE)).astype(np.float32)
    return {
        "one sample": noise[:1],
        "100 samples": noise[:100],
        "0.1 s": noise[:1600],
        "one below a multiple of the hop": noise[:15999],
        "a multiple of the hop": noise[:16000],
        "3 s": noise,
        "tone": tone,
        "silence": np.zeros(8000, dtype=np.float32),
        "silence, then noise": np.concatenate([np.zeros(8000, dtype=np.float32), noise[:8000]]),
        "loud": np.clip(30 * noise[:20000], -1, 1),
        "faint": 1e-4 * noise[:20000],
        "fading": noise * np.linspace(0, 1, len(noise), dtype=np.float32) ** 4,
    }
