"""TESS (Pichora-Fuller and Dupuis 2020): two Canadian actresses, 200 words in a carrier phrase, seven emotions."""

import re
from pathlib import Path

from train.data.base import Corpus, Source, Utterance
from train.data.folds import Protocol, leave_one_out


LABELS = {
    "angry": "angry",
    "disgust": "disgust",
    "fear": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "ps": "surprised",
    "sad": "sad",
}
SPEAKERS = {"tess-OAF": "female", "tess-YAF": "female"}

# SPEAKER_word_emotion. One official file is called OA_bite_neutral. "ps" is pleasant surprise, which some copies spell
# out as their folders do (pleasant_surprise, Pleasant_surprised).
NAME = re.compile(r"(OAF?|YAF)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad|pleasant_surprised?)", re.IGNORECASE)


def parse(path: Path) -> Utterance | None:
    """`OAF_bite_ps` -> the older speaker, surprised, the word "bite"."""
    match = NAME.fullmatch(path.stem)
    if not match:
        return None
    speaker = "tess-YAF" if match[1].upper() == "YAF" else "tess-OAF"
    emotion = match[3].lower()
    return Utterance(
        path=str(path),
        label=LABELS["ps" if emotion.startswith("pleasant") else emotion],
        speaker=speaker,
        sex=SPEAKERS[speaker],
        corpus="tess",
        language="en",
        sentence=match[2].lower(),
    )


CORPUS = Corpus(
    name="tess",
    title="TESS",
    language="en",
    licence="CC BY-NC-ND 4.0",
    homepage="https://doi.org/10.5683/SP2/E8H2MF",
    labels=LABELS,
    speakers=SPEAKERS,
    clips=2800,
    longest_clip=3.0,
    example="OAF_bite_ps.wav",
    folders=(
        "TESS Toronto emotional speech set data",
        "toronto-emotional-speech-set-tess",
        "toronto emotional speech",
    ),
    parse=parse,
    sources=(Source("kaggle:ejlok1/toronto-emotional-speech-set-tess"), Source("hub:myleslinder/tess")),
    protocols={"tess": Protocol("train on one actress, test on the other", leave_one_out(str), "tess")},
    test_speakers=(),  # there are only two: all clips train, and a result comes from the protocol
)
