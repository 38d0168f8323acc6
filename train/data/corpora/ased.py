"""ASED (Retta et al. 2023): 65 Amharic speakers of four dialects, 27 sentences, five emotions."""

import re
from pathlib import Path

from train.data.base import Corpus, Utterance
from train.data.folds import Protocol, numbered_folds


LABELS = {"n": "neutral", "f": "fearful", "h": "happy", "s": "sad", "a": "angry"}

# By the files themselves: five names contradict the other clips of their speaker (s4-01-02-02-09, f2-01-01-02-15,
# f2-07-02-02-21, s4-04-01-02-23 and f2-02-01-02-25 say male), so the sex goes by the speaker, not by the name.
FEMALE = (1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 43, 47, 48, 49, 58, 62)
SPEAKERS = {f"ased-{number:02d}": "female" if number in FEMALE else "male" for number in range(1, 66)}

# Speakers have 4 to 70 clips each, so the first four folds are chosen to hold 452 to 466 clips and five or six women
# each. The last, of two women, has no common sentence at all.
FOLDS = numbered_folds(
    "ased",
    [
        (1, 2, 7, 8, 11, 17, 22, 26, 31, 35, 38, 39, 45),
        (12, 13, 19, 21, 23, 24, 28, 32, 33, 41, 42, 43, 51),
        (5, 6, 10, 14, 15, 18, 20, 27, 36, 37, 44, 48, 49),
        (3, 4, 9, 16, 25, 29, 30, 34, 40, 46, 47, 50, 52),
        (53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65),
    ],
)

# Sentences 01 and 02 are the same words in every emotion. 03 to 07 are other words in each emotion, so these 25 give
# the emotion away: results on the common ones are reported by themselves.
COMMON_SENTENCES = ("01", "02")

# emotion + number of its folder - sentence - repetition - sex - speaker; one official file begins with a capital.
NAME = re.compile(r"([nfhsa])[1-5]-(0[1-7])-(\d\d)-0[12]-(\d\d)", re.IGNORECASE)


def parse(path: Path) -> Utterance | None:
    """`s4-07-01-01-29` -> speaker 29, sad, sentence "s07"; the common sentences are "01" and "02"."""
    match = NAME.fullmatch(path.stem)
    if not match or f"ased-{match[4]}" not in SPEAKERS:
        return None
    emotion, number, speaker = match[1].lower(), match[2], f"ased-{match[4]}"
    return Utterance(
        path=str(path),
        label=LABELS[emotion],
        speaker=speaker,
        sex=SPEAKERS[speaker],
        corpus="ased",
        language="am",
        sentence=number if number in COMMON_SENTENCES else emotion + number,
    )


CORPUS = Corpus(
    name="ased",
    title="ASED",
    language="am",
    licence='none stated ("open")',
    homepage="https://github.com/Ethio2021/ASED_V1",
    labels=LABELS,
    speakers=SPEAKERS,
    clips=2474,
    longest_clip=4.0,
    example="s4-07-01-01-29.wav",
    folders=("ASED_V1", "Amharic Speech Emotion Dataset"),
    parse=parse,
    protocols={"ased": Protocol("five folds of 13 speakers", lambda _: FOLDS, "ased")},
    test_speakers=FOLDS[4].test_speakers,
    common_sentences=COMMON_SENTENCES,
    caveat=(
        "25 of ASED's 27 sentences are spoken in one emotion only, by every speaker, so that words can give it away"
    ),
)
