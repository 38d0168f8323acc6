"""The network's view of a recording as pictures: spectrogram, MFCC and attention."""

import base64
from typing import TypedDict

import numpy as np

from ser_model.audio_io import SAMPLING_RATE
from ser_model.backend import Backend


MAX_SECONDS = 30  # of a recording are shown
MAX_COLUMNS = 600  # of a picture; neighbouring frames are averaged
SPREAD = 2.5  # standard deviations of a coefficient that get the full colour


class Picture(TypedDict):
    """A matrix as bytes in base64, column by column, each from its bottom to its top."""

    columns: int
    rows: int
    values: str


class Inside(TypedDict):
    """Data that inside.js draws; empty without a recording. Times in seconds."""

    duration: float
    is_cut: bool
    spectrogram: Picture | None  # 0 is the quietest, 255 the loudest
    mfcc: Picture | None  # 128 is each coefficient's mean
    attention: list[float]  # 0 to 1, evenly spaced from start to end; empty where there is none
    start: float
    end: float


def nothing() -> Inside:
    """Without a recording."""
    return Inside(duration=0.0, is_cut=False, spectrogram=None, mfcc=None, attention=[], start=0.0, end=0.0)


def look_inside(backend: Backend, waveform: np.ndarray) -> Inside:
    """Pictures of the first `MAX_SECONDS` of a waveform at 16 kHz, float32 (samples,)."""
    from ser_model.inspection import inspect  # PyTorch; nothing else of the page needs it

    shown = waveform[: MAX_SECONDS * SAMPLING_RATE]
    inspection = inspect(backend, shown)
    log_mel = fewer_columns(inspection.log_mel)
    mfcc = fewer_columns(inspection.mfcc)
    deviations = (mfcc - mfcc.mean(0)) / (SPREAD * mfcc.std(0) + 1e-6)
    attention = np.zeros(0) if inspection.attention is None else inspection.attention
    return Inside(
        duration=len(shown) / SAMPLING_RATE,
        is_cut=len(shown) < len(waveform),
        spectrogram=picture((log_mel - log_mel.min()) / max(float(np.ptp(log_mel)), 1e-6)),
        mfcc=picture(0.5 + 0.5 * deviations),
        attention=[round(float(weight), 3) for weight in attention / max(attention.max(initial=0.0), 1e-9)],
        start=inspection.start,
        end=inspection.end,
    )


def fewer_columns(frames: np.ndarray) -> np.ndarray:
    """(frames, rows) -> (at most `MAX_COLUMNS`, rows), the means of neighbouring frames."""
    count = min(len(frames), MAX_COLUMNS)
    starts = np.arange(count) * len(frames) // count
    sizes = np.diff(starts, append=len(frames))
    return np.add.reduceat(frames, starts) / sizes[:, None]


def picture(shares: np.ndarray) -> Picture:
    """A matrix (columns, rows) of shares from 0 to 1; what is beyond is cut off."""
    values = np.round(255 * np.clip(shares, 0, 1)).astype(np.uint8)
    return Picture(columns=len(values), rows=values.shape[1], values=base64.b64encode(values.tobytes()).decode())
