"""One colour for every emotion, the same on the page, in every theme, and in plots.

They keep an OKLab distance of at least 0.11 from one another for normal sight, protanopia, deuteranopia and
tritanopia (Okabe and Ito's eight come down to 0.02), and each stands out from a white and from a black card.
"""

EMOTION_COLOURS = {
    "angry": "#e4452a",
    "calm": "#7fd9f1",
    "disgust": "#2d9071",
    "fearful": "#9a66e0",
    "happy": "#f2ce59",
    "neutral": "#97a7b7",
    "sad": "#2a58a4",
    "surprised": "#f08c00",
}

__all__ = ["EMOTION_COLOURS"]
