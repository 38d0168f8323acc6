"""Tiny corpora with official names and layouts, whose sound tells the labels apart, for loading and training."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from train.data import COMMON_LABELS, CORPORA


SAMPLING_RATE = 16000
LABELS = (*COMMON_LABELS, "boredom", "excited", "frustrated")
WORDS = ("back", "bar", "base", "bath", "bean", "beg", "bite", "boat", "bone", "book", "bought", "burn", "cab", "calm")
TESS_FOLDERS = {"ps": "pleasant_surprised"}
ASED_FOLDERS = {"n": "1-01Neutral", "f": "2-02Fearful", "h": "3-03Happy", "s": "4-04Sad", "a": "5-05Angry"}
CREMA_D_ENDINGS = ("DFA_{}_XX", "IOM_{}_XX", "ITH_{}_XX", "ITS_{}_XX", "IEO_{}_LO", "IEO_{}_MD", "IEO_{}_HI")


def make_corpus(
    name: str,
    root: Path,
    *,
    speakers: int | Sequence[str] = 4,
    clips_per_label: int = 2,
    duration_s: float = 0.3,
    seed: int = 0,
) -> Path:
    """Writes a small copy of a corpus into `root / name`.

    Args:
        name: key of `CORPORA`.
        root: folder of the corpora; afterwards `load_corpus(name, root)` finds it.
        speakers: names such as "ravdess-08", or how many of the corpus' speakers, evenly spread over all.
        clips_per_label: of every speaker, for every label of the corpus.
        duration_s: length of a clip in seconds.
        seed: of the sound.

    Returns:
        The folder of the corpus.
    """
    generator = np.random.default_rng(seed)
    folder = Path(root) / name
    for speaker in choose_speakers(name, speakers):
        for code, label in CORPORA[name].labels.items():
            paths = list(itertools.islice(NAMES[name](speaker.partition("-")[2], code), clips_per_label))
            if len(paths) < clips_per_label:
                raise ValueError(f"{name} has names for {len(paths)} clips of {label} and speaker, not more")
            for path in paths:
                write_clip(folder / path, label, speaker, duration_s, generator)
                if name == "iemocap":
                    list_utterance(folder / path, code)
    return folder


def choose_speakers(name: str, speakers: int | Sequence[str]) -> list[str]:
    """Names of the speakers to generate."""
    every = list(CORPORA[name].speakers)
    if isinstance(speakers, int):
        return [every[round(place)] for place in np.linspace(0, len(every) - 1, min(speakers, len(every)))]
    return list(speakers)


def write_clip(path: Path, label: str, speaker: str, duration_s: float, generator: np.random.Generator) -> None:
    """A buzz with pitch, tremor and noise of its label, a little higher or lower for each speaker."""
    number = LABELS.index(label)
    time = np.arange(round(duration_s * SAMPLING_RATE)) / SAMPLING_RATE
    pitch = 100 * 1.25**number * (1 + 0.01 * (sum(speaker.encode()) % 7)) * generator.uniform(0.98, 1.02)
    buzz = sum(np.sin(2 * np.pi * pitch * harmonic * time) / harmonic for harmonic in (1, 2, 3))
    tremor = 1 + 0.5 * np.sin(2 * np.pi * (3 + number) * time)
    noise = generator.standard_normal(time.size) * (0.02 + 0.03 * (number % 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, (0.15 * (buzz * tremor + noise)).astype(np.float32), SAMPLING_RATE)


def ravdess_names(speaker: str, code: str) -> Iterator[str]:
    intensities = ("01",) if code == "01" else ("01", "02")  # neutral has no strong intensity
    for repetition, statement, intensity in itertools.product(("01", "02"), ("01", "02"), intensities):
        yield f"Actor_{speaker}/03-01-{code}-{intensity}-{statement}-{repetition}-{speaker}.wav"


def tess_names(speaker: str, code: str) -> Iterator[str]:
    for word in WORDS:
        yield f"{speaker}_{TESS_FOLDERS.get(code, code)}/{speaker}_{word}_{code}.wav"


def crema_d_names(speaker: str, code: str) -> Iterator[str]:
    for ending in CREMA_D_ENDINGS:
        yield f"AudioWAV/{speaker}_{ending.format(code)}.wav"


def savee_names(speaker: str, code: str) -> Iterator[str]:
    for number in range(1, 16):
        yield f"AudioData/{speaker}/{code}{number:02d}.wav"


def emodb_names(speaker: str, code: str) -> Iterator[str]:
    for version, text in itertools.product(
        "ab", ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
    ):
        yield f"wav/{speaker}{text}{code}{version}.wav"


def ased_names(speaker: str, code: str) -> Iterator[str]:
    number, folder = ASED_FOLDERS[code].split("-")
    sex = "01" if CORPORA["ased"].speakers[f"ased-{speaker}"] == "female" else "02"
    for repetition, sentence in itertools.product(("01", "02"), range(1, 8)):
        yield f"{folder}/{code}{number}-{sentence:02d}-{repetition}-{sex}-{speaker}.wav"


def iemocap_names(speaker: str, code: str) -> Iterator[str]:
    session, letter = speaker[:5], speaker[5]
    first = list(CORPORA["iemocap"].labels).index(code) * 100
    for number in range(first, first + 100):
        # The markers are worn by the man, so the first letter says nothing about who speaks.
        dialogue = f"{session}M_impro{number % 3 + 1:02d}"
        yield f"Session{session[-1]}/sentences/wav/{dialogue}/{dialogue}_{letter}{number:03d}.wav"


def list_utterance(clip: Path, code: str) -> None:
    """Adds a clip of IEMOCAP to the evaluation file of its dialogue, as the corpus writes it."""
    evaluation = clip.parents[3] / "dialog" / "EmoEvaluation" / f"{clip.parent.name}.txt"
    evaluation.parent.mkdir(parents=True, exist_ok=True)
    if not evaluation.exists():
        evaluation.write_text("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n")
    with open(evaluation, "a") as file:
        file.write(f"[6.2901 - 8.2357]\t{clip.stem}\t{code}\t[2.5000, 2.5000, 2.5000]\n")
        file.write("C-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n")


def nemo_names(speaker: str, code: str) -> Iterator[str]:
    for number in range(1, 91):
        yield f"samples/{speaker}_{code}_{number}.wav"


def emospeechcmd_names(speaker: str, code: str) -> Iterator[str]:
    for number, word in enumerate(("bacho", "go", "help", "no", "stop", "yes")):
        yield f"webservice/{word}-safe-{code}-156309688743{number}-{speaker}{'0' * 48}.wav"


NAMES: dict[str, Callable[[str, str], Iterator[str]]] = {
    "ravdess": ravdess_names,
    "tess": tess_names,
    "crema_d": crema_d_names,
    "savee": savee_names,
    "iemocap": iemocap_names,
    "emodb": emodb_names,
    "ased": ased_names,
    "nemo": nemo_names,
    "emospeechcmd": emospeechcmd_names,
}
