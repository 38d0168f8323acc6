"""SAVEE (Haq and Jackson 2009): four British men, seven emotions."""

import re
from pathlib import Path

from train.data.base import Corpus, Utterance
from train.data.folds import Protocol, leave_one_out


LABELS = {
    "a": "angry",
    "d": "disgust",
    "f": "fearful",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprised",
}
SPEAKERS = {f"savee-{name}": "male" for name in ("DC", "JE", "JK", "KL")}

# Two layouts are about: DC_a01 in one folder, and DC/a01 with a folder for each speaker.
NAME = re.compile(r"(DC|JE|JK|KL)[_/](sa|su|[adfhn])(\d\d)", re.IGNORECASE)


def parse(path: Path) -> Utterance | None:
    """`DC_su03` or `DC/su03` -> speaker DC, surprised, sentence su03."""
    match = NAME.fullmatch(path.stem) or NAME.fullmatch(f"{path.parent.name}/{path.stem}")
    if not match:
        return None
    emotion, speaker = match[2].lower(), f"savee-{match[1].upper()}"
    return Utterance(
        path=str(path),
        label=LABELS[emotion],
        speaker=speaker,
        sex=SPEAKERS[speaker],
        corpus="savee",
        language="en",
        sentence=emotion + match[3],
    )


CORPUS = Corpus(
    name="savee",
    title="SAVEE",
    language="en",
    licence="registration; research only",
    homepage="http://kahlan.eps.surrey.ac.uk/savee/",
    labels=LABELS,
    speakers=SPEAKERS,
    clips=480,
    longest_clip=7.2,
    example="DC_su03.wav (or DC/su03.wav)",
    folders=("surrey-audiovisual-expressed-emotion-savee", "savee-database", "SAVEE AudioData"),
    parse=parse,
    licence_steps=(
        "SAVEE is given to those who register: go to http://kahlan.eps.surrey.ac.uk/savee/Download.html, and unpack "
        "what you get there into {folder}, so that the clips are {folder}/AudioData/DC/a01.wav (or "
        "{folder}/DC_a01.wav). It has 480 clips of 4 speakers, for research only."
    ),
    protocols={"savee": Protocol("leave one speaker out", leave_one_out(str), "savee")},
    test_speakers=("savee-KL",),
)
