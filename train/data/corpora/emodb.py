"""EmoDB (Burkhardt et al. 2005): ten German actors, ten sentences, seven emotions, boredom among them."""

import re
from pathlib import Path

from train.data.base import Corpus, Source, Utterance
from train.data.folds import Protocol, leave_one_out, numbered_folds


LABELS = {
    "W": "angry",  # Wut
    "L": "boredom",  # Langeweile; none of the eight common names: a recipe drops it or maps it
    "E": "disgust",  # Ekel
    "A": "fearful",  # Angst
    "F": "happy",  # Freude
    "T": "sad",  # Trauer
    "N": "neutral",
}
MALE = ("03", "10", "11", "12", "15")
FEMALE = ("08", "09", "13", "14", "16")
SPEAKERS = {f"emodb-{number}": "male" if number in MALE else "female" for number in sorted(MALE + FEMALE)}
PAIRS = numbered_folds("emodb", [(3, 8), (9, 10), (11, 13), (12, 14), (15, 16)])

# speaker (2), text (3), emotion (1), version (1).
NAME = re.compile(r"(\d\d)([ab]\d\d)([WLEAFTN])([a-z])")


def parse(path: Path) -> Utterance | None:
    """`03a01Fa` -> speaker 03, happy, sentence a01."""
    match = NAME.fullmatch(path.stem)
    if not match or f"emodb-{match[1]}" not in SPEAKERS:
        return None
    speaker = f"emodb-{match[1]}"
    return Utterance(
        path=str(path),
        label=LABELS[match[3]],
        speaker=speaker,
        sex=SPEAKERS[speaker],
        corpus="emodb",
        language="de",
        sentence=match[2],
    )


CORPUS = Corpus(
    name="emodb",
    title="EmoDB",
    language="de",
    licence="free for research, none stated",
    homepage="http://emodb.bilderbar.info",
    labels=LABELS,
    speakers=SPEAKERS,
    clips=535,
    longest_clip=9.0,
    example="03a01Fa.wav",
    folders=(
        "EMO-DB",
        "Berlin EmoDB",
        "Berlin Database of Emotional Speech",
        "berlin-database-of-emotional-speech-emodb",
    ),
    parse=parse,
    sources=(Source("kaggle:piyushagni5/berlin-database-of-emotional-speech-emodb"),),
    protocols={
        "emodb": Protocol("leave one speaker out", leave_one_out(str), "emodb"),
        "emodb-pairs": Protocol("five pairs of speakers", lambda _: PAIRS, "emodb"),
    },
    among_others="emodb-pairs",
    test_speakers=PAIRS[4].test_speakers,
)
