"""IEMOCAP (Busso et al. 2008): five sessions of two actors in dialogue, labelled by listeners."""

import re
from collections.abc import Iterator
from pathlib import Path

from train.data.base import Corpus, Utterance, audio_files, files_below
from train.data.folds import Protocol, leave_one_out


# Every category that listeners agreed on. "oth" (other) and "xxx" (no agreement) are no emotion and have no row.
LABELS = {
    "ang": "angry",
    "dis": "disgust",
    "exc": "excited",
    "fea": "fearful",
    "fru": "frustrated",
    "hap": "happy",
    "neu": "neutral",
    "sad": "sad",
    "sur": "surprised",
}

# The usual task of 5,531 utterances: `load_corpora(["iemocap"], root, labels=FOUR_LABELS, label_map=FOUR_LABEL_MAP)`.
FOUR_LABELS = ("angry", "happy", "neutral", "sad")
FOUR_LABEL_MAP = {"excited": "happy"}

SPEAKERS = {
    f"iemocap-Ses{session:02d}{letter}": sex
    for session in range(1, 6)
    for letter, sex in (("F", "female"), ("M", "male"))
}

# [start - end] utterance label [valence, activation, dominance]. In Ses01F_impro02_M003 the first letter tells who
# wore the motion-capture markers; who speaks is the letter before the last number.
LINE = re.compile(r"\[[\d.]+ - [\d.]+\]\s+((Ses0[1-5])[FM]_((?:impro|script)\d\d\w*)_([FM])\d{3})\s+([a-z]{3})\s+\[.*")


def read(folder: Path) -> Iterator[Utterance]:
    """Utterances that `Session*/dialog/EmoEvaluation/*.txt` lists with an emotion, wherever below their clips lie."""
    clips: dict[str, Path] = {}
    for path in audio_files(folder):
        clips.setdefault(path.stem, path)
    for evaluation in files_below(folder, (".txt",)):
        if evaluation.parent.name != "EmoEvaluation":  # its subfolders hold the votes of single listeners
            continue
        for line in evaluation.read_text(encoding="utf-8", errors="replace").splitlines():
            match = LINE.fullmatch(line.strip())
            if match and match[5] in LABELS and match[1] in clips:
                yield utterance(clips[match[1]], match)


def utterance(path: Path, match: re.Match) -> Utterance:
    """Utterance of one line of an evaluation file; the scenario of the dialogue stands for the sentence."""
    _, session, scenario, letter, emotion = match.groups()
    speaker = f"iemocap-{session}{letter}"
    return Utterance(
        path=str(path),
        label=LABELS[emotion],
        speaker=speaker,
        sex=SPEAKERS[speaker],
        corpus="iemocap",
        language="en",
        sentence=scenario,
    )


def session_of(speaker: str) -> str:
    """The session of a speaker, whose two actors talk to one another."""
    return speaker[:-1]


CORPUS = Corpus(
    name="iemocap",
    title="IEMOCAP",
    language="en",
    licence="signed release form; research only",
    homepage="https://sail.usc.edu/iemocap/",
    labels=LABELS,
    speakers=SPEAKERS,
    clips=7529,
    longest_clip=34.2,
    example="Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav (and Session1/dialog/EmoEvaluation/*.txt)",
    folders=("IEMOCAP_full_release", "IEMOCAP full release"),
    read=read,
    licence_steps=(
        "IEMOCAP is given to those who sign its licence: fill in the release form at "
        "https://sail.usc.edu/iemocap/iemocap_release.htm, and unpack what you receive into {folder}, so that there "
        "are {folder}/Session1/dialog/EmoEvaluation/*.txt and {folder}/Session1/sentences/wav/*/*.wav, and the same "
        "for the sessions 2 to 5. It is for research only."
    ),
    protocols={
        "iemocap": Protocol("leave one session out", leave_one_out(session_of), "iemocap", FOUR_LABELS, FOUR_LABEL_MAP)
    },
    test_speakers=("iemocap-Ses05F", "iemocap-Ses05M"),
    unit=session_of,
)
