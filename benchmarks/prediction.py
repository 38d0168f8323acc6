"""From a file to the answer, on one thread: the recogniser by each backend, and what others would take for it.

All take turns in one run. wav2vec2-base has random weights, and so has the classic network: the cost is the same.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import opensmile
import soundfile
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.keras_peer import is_installed, keras_process
from benchmarks.measuring import Outcome, medians_in_turns
from ser_model.audio_io import SAMPLING_RATE
from ser_model.recognizer import BATCH_SIZE, EmotionRecognizer
from train.augment.voice import speech_like


ROUNDS = 15
SECONDS = 3.0
LABELS = 7
EXAMPLES = 210  # of the machine; each of so many support vectors is compared
MFCC = 40
BARS = {"wav2vec2-base": 40.0, "PyTorch": 1.5, "eGeMAPS + SVM": 10.0, "librosa + Keras LSTM": 3.0}
BATCH_BAR = 1.5  # of a clip in a batch, beside PyTorch
SINGLE_BAR = 1.0  # of a clip in a batch, beside a single one

Answer = Callable[[Path], Any]


def run() -> list[Outcome]:
    """One comparison with each, and the batches."""
    torch.set_num_threads(1)
    recognizers = {name: EmotionRecognizer.from_pretrained(backend=name, num_threads=1) for name in ("onnx", "torch")}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path = Path(folder, "clip.wav")
        soundfile.write(path, speech_like(SECONDS), SAMPLING_RATE)
        if not recognizers["onnx"].predict(path).speech:
            raise RuntimeError("The generated clip counts as no speech, so the network would not be measured.")
        peers = {"wav2vec2-base": wav2vec2_base(), "PyTorch": recognizers["torch"].predict}
        peers["eGeMAPS + SVM"] = egemaps_machine()
        if is_installed():
            peers["librosa + Keras LSTM"] = stack.enter_context(classic(path, Path(folder)))
        answers = {"ours": recognizers["onnx"].predict, **peers}
        alone = medians_in_turns(
            {name: lambda answer=answer: answer(path) for name, answer in answers.items()}, ROUNDS
        )
    outcomes = [
        Outcome(
            f"file of {SECONDS:g} s to answer",
            name,
            1e3 * alone["ours"],
            1e3 * alone[name],
            "ms",
            BARS[name],
            "faster",
        )
        for name in peers
    ]
    return [*outcomes, *batches(recognizers)]


def batches(recognizers: dict[str, EmotionRecognizer]) -> list[Outcome]:
    """What the network takes for a clip in a batch, beside PyTorch and beside a single clip."""
    generator = np.random.default_rng(0)
    clips = [speech_like(SECONDS * generator.uniform(0.8, 1.2), seed=index) for index in range(BATCH_SIZE)]
    contestants = {name: lambda backend=one.backend: backend.run(clips) for name, one in recognizers.items()}
    contestants["single"] = lambda: [recognizers["onnx"].backend.run([clip]) for clip in clips]
    seconds = medians_in_turns(contestants, ROUNDS)
    times = {name: 1e3 * value / BATCH_SIZE for name, value in seconds.items()}
    name = f"network and features for a clip in a batch of {BATCH_SIZE}"
    return [
        Outcome(name, "PyTorch", times["onnx"], times["torch"], "ms", BATCH_BAR, "faster"),
        Outcome(name, "a clip alone", times["onnx"], times["single"], "ms", SINGLE_BAR, "ratio"),
    ]


def wav2vec2_base() -> Answer:
    """A function that classifies a file with wav2vec2-base."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

    extractor = Wav2Vec2FeatureExtractor()
    model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(num_labels=LABELS)).eval()

    @torch.inference_mode()
    def classify(path: Path) -> torch.Tensor:
        waveform, rate = soundfile.read(path, dtype="float32")
        inputs = extractor(waveform, sampling_rate=rate, return_tensors="pt")
        return model(**inputs).logits.softmax(-1)

    return classify


def egemaps_machine() -> Answer:
    """A function that classifies a file by openSMILE's 88 functionals and a support vector machine."""
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    generator = np.random.default_rng(0)
    machine = make_pipeline(StandardScaler(), SVC())
    machine.fit(generator.normal(size=(EXAMPLES, smile.num_features)), np.arange(EXAMPLES) % LABELS)
    return lambda path: machine.predict(smile.process_file(path).to_numpy())


@contextlib.contextmanager
def classic(path: Path, folder: Path) -> Iterator[Answer]:
    """A function that classifies a file by librosa's MFCC and the network of most tutorials, in Keras."""

    def mfcc(path: Path) -> np.ndarray:
        waveform, rate = librosa.load(path, sr=SAMPLING_RATE)
        return librosa.feature.mfcc(y=waveform, sr=rate, n_mfcc=MFCC).T

    with keras_process([(mfcc(path)[None], np.zeros(1, np.int64))], folder, threads=1) as keras:

        def classify(path: Path) -> None:
            mfcc(path)
            keras.predict()

        yield classify
