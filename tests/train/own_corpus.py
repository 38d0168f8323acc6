"""A corpus that the project does not know, in the one module that knows all of it."""

import re
from pathlib import Path

from train.data.base import Corpus, Source, Utterance
from train.data.folds import Protocol, named_folds


LABELS = {"hap": "happy", "sad": "sad", "neu": "neutral"}
SPEAKERS = {f"parrots-P{number}": "female" if number % 2 else "male" for number in range(1, 7)}
FOLDS = named_folds([("parrots-P1", "parrots-P2"), ("parrots-P3", "parrots-P4"), ("parrots-P5", "parrots-P6")])
NAME = re.compile(r"(P[1-6])_(hap|sad|neu)_(s\d)")


def parse(path: Path) -> Utterance | None:
    """`P3_hap_s1` -> speaker P3, happy, sentence s1."""
    match = NAME.fullmatch(path.stem)
    if not match:
        return None
    speaker, label, sentence = f"parrots-{match[1]}", LABELS[match[2]], match[3]
    return Utterance(str(path), label, speaker, SPEAKERS[speaker], "parrots", "en", sentence=sentence)


CORPUS = Corpus(
    name="parrots",
    title="Parrots",
    language="en",
    licence="CC BY 4.0",
    homepage="https://parrots.example",
    labels=LABELS,
    speakers=SPEAKERS,
    clips=36,
    example="P3_hap_s1.wav",
    parse=parse,
    sources=(Source("hub:birds/parrots"),),
    protocols={
        "parrots": Protocol("three pairs of parrots", lambda _: FOLDS, "parrots"),
        "parrots-pitch": Protocol("three pairs of parrots, two labels", lambda _: FOLDS, "parrots", ("happy", "sad")),
    },
    test_speakers=FOLDS[2].test_speakers,
    common_sentences=("s1",),
    caveat="Parrots repeat the sentence s2 when they are happy only",
)
