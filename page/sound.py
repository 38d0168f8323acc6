"""Sound that a script of the page sends within a request: 16-bit samples in base64."""

import base64
import binascii
from collections.abc import Mapping

import numpy as np

from ser_model.samples import AudioError, checked_rate


CHARACTERS_PER_SAMPLE = 8 / 3  # two bytes in base64
GRACE_SECONDS = 1.0  # by which a script exceeds its limit: it learns only afterwards how long a piece was


def decoded(chunk: object, max_seconds: float) -> np.ndarray:
    """
    Samples of a chunk, int16 (samples,).

    Args:
        chunk: with `rate` in Hz and `samples`, as the scripts send it, or whatever else came in its place.
        max_seconds: longest accepted sound.

    Raises:
        AudioError: no such chunk, or a longer one; the reason is "too_long" then. Nothing is decoded before.
    """
    text, rate = (chunk.get("samples"), chunk.get("rate")) if isinstance(chunk, Mapping) else (None, None)
    if not isinstance(text, str) or not isinstance(rate, int):
        raise AudioError("A chunk has a rate, a whole number of Hz, and samples, text in base64.")
    seconds = len(text) / CHARACTERS_PER_SAMPLE / checked_rate(rate, "the chunk")
    if seconds > max_seconds + GRACE_SECONDS:
        raise AudioError(f"A chunk has at most {max_seconds:g} s of sound, got {seconds:.1f} s.", "too_long")
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<i2")
    except (binascii.Error, ValueError) as error:
        raise AudioError("A chunk is 16-bit samples in base64.") from error


def number_of(request: object) -> int:
    """The number by which a script knows the answer to its request; -1 where it has none."""
    number = request.get("number") if isinstance(request, Mapping) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else -1
