"""nEMO (Christop 2024): nine Polish actors, six emotions, the same sentences in each."""

import re
from pathlib import Path

from train.data.base import Corpus, Utterance
from train.data.folds import Protocol, leave_one_out, named_folds


LABELS = {
    "anger": "angry",
    "fear": "fearful",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprised": "surprised",
}
MALE = ("KS0", "MP0", "SM0", "TP0", "WR0")
SPEAKERS = {
    f"nemo-{name}": "male" if name in MALE else "female"
    for name in ("EB0", "IC0", "KD0", "KS0", "MK0", "MP0", "SM0", "TP0", "WR0")
}
FOLDS = (
    ("nemo-EB0", "nemo-KS0", "nemo-MP0"),
    ("nemo-IC0", "nemo-MK0", "nemo-SM0"),
    ("nemo-KD0", "nemo-TP0", "nemo-WR0"),
)
TEST_SPEAKERS = ("nemo-KD0", "nemo-TP0")  # of the shipped checkpoint: a woman and a man

NAME = re.compile(rf"([A-Z]{{2}}0)_({'|'.join(LABELS)})_(\d+)", re.IGNORECASE)


def parse(path: Path) -> Utterance | None:
    """`SM0_fear_12` -> speaker SM0, fearful, sentence 12."""
    match = NAME.fullmatch(path.stem)
    speaker = match and f"nemo-{match[1].upper()}"
    if speaker not in SPEAKERS:
        return None
    return Utterance(
        path=str(path),
        label=LABELS[match[2].lower()],
        speaker=speaker,
        sex=SPEAKERS[speaker],
        corpus="nemo",
        language="pl",
        sentence=match[3],
    )


CORPUS = Corpus(
    name="nemo",
    title="nEMO",
    language="pl",
    licence="CC BY-NC-SA 4.0",
    homepage="https://github.com/amu-cai/nEMO",
    labels=LABELS,
    speakers=SPEAKERS,
    clips=4481,
    longest_clip=5.7,
    example="SM0_fear_12.wav",
    folders=("nEMO",),
    parse=parse,
    licence_steps=(
        "nEMO has no archive that this command knows: get it from https://github.com/amu-cai/nEMO, and put its "
        "samples into {folder}, so that there are {folder}/SM0_fear_12.wav and the like. It is under CC BY-NC-SA 4.0."
    ),
    protocols={
        "nemo": Protocol("leave one speaker out", leave_one_out(str), "nemo"),
        "nemo-thirds": Protocol("three folds of three speakers", lambda _: named_folds(FOLDS), "nemo"),
    },
    among_others="nemo-thirds",
    test_speakers=TEST_SPEAKERS,
)
