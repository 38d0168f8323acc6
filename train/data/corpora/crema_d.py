"""CREMA-D (Cao et al. 2014): 91 actors, twelve English sentences, six emotions."""

import re
from pathlib import Path

from train.data.base import Corpus, Source, Utterance
from train.data.folds import Protocol, dealt_folds


LABELS = {"ANG": "angry", "DIS": "disgust", "FEA": "fearful", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high", "XX": ""}

# The column Sex of the corpus' VideoDemographics.csv, which copies of the sound alone come without.
# fmt: off
FEMALE = {
    1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025,
    1028, 1029, 1030, 1037, 1043, 1046, 1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060,
    1061, 1063, 1072, 1073, 1074, 1075, 1076, 1078, 1079, 1082, 1084, 1089, 1091,
}
# fmt: on
SPEAKERS = {f"crema_d-{actor}": "female" if actor in FEMALE else "male" for actor in range(1001, 1092)}
FOLDS = dealt_folds(SPEAKERS)

SILENT = frozenset({"1076_MTI_SAD_XX"})  # this official file has no audio signal

# actor_sentence_emotion_level; some copies write one level as a single X.
NAME = re.compile(
    r"(\d{4})_(DFA|IEO|IOM|ITH|ITS|IWL|IWW|MTI|TAI|TIE|TSI|WSI)_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX?)"
)


def parse(path: Path) -> Utterance | None:
    """`1001_IEO_ANG_HI` -> actor 1001, angry, high intensity, sentence IEO; None for the file without audio."""
    match = NAME.fullmatch(path.stem)
    if not match or path.stem in SILENT or f"crema_d-{match[1]}" not in SPEAKERS:
        return None
    actor, sentence, emotion, level = match.groups()
    speaker = f"crema_d-{actor}"
    return Utterance(
        path=str(path),
        label=LABELS[emotion],
        speaker=speaker,
        sex=SPEAKERS[speaker],
        corpus="crema_d",
        language="en",
        intensity=INTENSITIES.get(level, ""),
        sentence=sentence,
    )


CORPUS = Corpus(
    name="crema_d",
    title="CREMA-D",
    language="en",
    licence="ODbL 1.0",
    homepage="https://github.com/CheyneyComputerScience/CREMA-D",
    labels=LABELS,
    speakers=SPEAKERS,
    clips=7441,
    longest_clip=5.1,
    example="1001_IEO_ANG_HI.wav",
    folders=("CREMA-D", "CREMA", "AudioWAV"),
    speaker_title="actor {}",
    parse=parse,
    sources=(Source("kaggle:ejlok1/cremad"), Source("hub:myleslinder/crema-d")),
    protocols={"crema_d": Protocol("five speaker folds", lambda _: FOLDS, "crema_d")},
    test_speakers=FOLDS[4].test_speakers,
)
