"""The colours can be told apart by everybody, and what is written on them can be read."""

import itertools

import numpy as np
import pytest

from page.palette import ACCENT, NEUTRAL, contrast, ink_on
from ser_model.colours import EMOTION_COLOURS


EMOTIONS = {"angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised"}

# Simulation at full severity on linear RGB (Machado, Oliveira and Fernandes 2009).
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# Linear RGB > cone responses > OKLab (Ottosson 2020).
CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
OKLAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


def oklab(colour: str, sight: str) -> np.ndarray:
    channels = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(SIGHT[sight]) @ linear, 0, 1)
    return np.array(OKLAB) @ np.cbrt(np.array(CONES) @ seen)


def test_every_emotion_has_a_colour():
    assert set(EMOTION_COLOURS) == EMOTIONS


@pytest.mark.parametrize("sight", SIGHT)
def test_emotions_can_be_told_apart(sight):
    seen = [oklab(colour, sight) for colour in EMOTION_COLOURS.values()]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) >= 0.11


@pytest.mark.parametrize("emotion", sorted(EMOTIONS))
def test_names_on_the_colours_can_be_read(emotion):
    colour = EMOTION_COLOURS[emotion]
    assert contrast(colour, ink_on(colour)) >= 4.5


@pytest.mark.parametrize(
    ("text", "ground"),
    [
        (NEUTRAL["c500"], "#ffffff"),  # quiet text on a light card
        (NEUTRAL["c500"], NEUTRAL["c50"]),  # on the light page
        (NEUTRAL["c400"], NEUTRAL["c900"]),  # on a dark card
        (NEUTRAL["c400"], NEUTRAL["c950"]),  # on the dark page
        ("#ffffff", ACCENT["c600"]),  # the microphone
    ],
)
def test_texts_can_be_read(text, ground):
    assert contrast(text, ground) >= 4.5


def test_contrast_of_black_and_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
