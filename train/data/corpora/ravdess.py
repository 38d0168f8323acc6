"""RAVDESS (Livingstone and Russo 2018): 24 actors, two English sentences, eight emotions; the speech recordings."""

import re
from pathlib import Path

from train.data.base import Corpus, Source, Utterance
from train.data.folds import Protocol, numbered_folds


LABELS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
INTENSITIES = {"01": "normal", "02": "strong"}
SPEAKERS = {f"ravdess-{actor:02d}": "male" if actor % 2 else "female" for actor in range(1, 25)}

# The actor folds of Luna-Jimenez et al. 2021.
FOLDS = numbered_folds(
    "ravdess", [(2, 5, 14, 15, 16), (3, 6, 7, 13, 18), (10, 11, 12, 19, 20), (8, 17, 21, 23, 24), (1, 4, 9, 22)]
)

# modality-channel-emotion-intensity-statement-repetition-actor. Modality 03 is audio only (01 and 02 are videos, whose
# sound would be the same clip again) and channel 01 is speech (02 is song).
NAME = re.compile(r"03-01-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)")


def parse(path: Path) -> Utterance | None:
    """`03-01-06-02-01-01-12` -> actor 12, fearful, strong, first sentence; None for song and for sound of videos."""
    match = NAME.fullmatch(path.stem)
    if not match or f"ravdess-{match[5]}" not in SPEAKERS:
        return None
    emotion, intensity, statement, _, actor = match.groups()
    speaker = f"ravdess-{actor}"
    return Utterance(
        path=str(path),
        label=LABELS[emotion],
        speaker=speaker,
        sex=SPEAKERS[speaker],
        corpus="ravdess",
        language="en",
        intensity=INTENSITIES[intensity],
        sentence=statement,
    )


CORPUS = Corpus(
    name="ravdess",
    title="RAVDESS",
    language="en",
    licence="CC BY-NC-SA 4.0",
    homepage="https://zenodo.org/records/1188976",
    labels=LABELS,
    speakers=SPEAKERS,
    clips=1440,
    longest_clip=6.0,
    example="03-01-06-01-02-01-12.wav",
    folders=("Audio_Speech_Actors_01-24", "ravdess-emotional-speech-audio", "RAVDESS speech"),
    speaker_title="Actor_{}",
    parse=parse,
    sources=(
        Source(
            "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
            md5="bc696df654c87fed845eb13823edef8a",
        ),
        Source("kaggle:uwrfkaggler/ravdess-emotional-speech-audio"),
    ),
    protocols={"ravdess": Protocol("five actor folds", lambda _: FOLDS, "ravdess")},
    test_speakers=FOLDS[3].test_speakers,
)
