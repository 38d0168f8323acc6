"""From a file to the answer, on one thread: the recogniser by each backend, and what others would take for it.

All take turns in one run. wav2vec2-base has random weights, and so has the classic network: the cost is the same.
"""

import contextlib
import functools
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
from benchmarks.measuring import Outcome, compared, seconds_in_turns
from ser_model.audio_io import SAMPLING_RATE, load_audio
from ser_model.backend import Backend
from ser_model.recognizer import BATCH_SIZE, EmotionRecognizer
from ser_model.speech_activity import has_speech
from train.augment.voice import speech_like


ROUNDS = 15
SECONDS = 3.0
LABELS = 7
EXAMPLES = 210  # of the machine; each of so many support vectors is compared
MFCC = 40
WAV2VEC2, EGEMAPS, CLASSIC, PYTORCH = "wav2vec2-base", "eGeMAPS + SVM", "librosa + Keras LSTM", "ours in PyTorch"
BARS = {WAV2VEC2: 60.0, EGEMAPS: 5.0, CLASSIC: 10.0, PYTORCH: 1.0}
PYTORCH_BAR = 45.0  # of PyTorch beside wav2vec2-base
SHARE_BAR = 0.5  # of the answer's time that asking for speech activity may take
NETWORK_BAR = 1.5  # without decoding and speech activity, beside PyTorch
BATCH_BAR = 1.0  # of a clip in a batch, beside a clip alone

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
        peers = {WAV2VEC2: wav2vec2_base(), EGEMAPS: egemaps_machine(), PYTORCH: recognizers["torch"].predict}
        if is_installed():
            peers[CLASSIC] = stack.enter_context(classic(path, Path(folder)))
        waveform = load_audio(path)
        answers = {"ours": recognizers["onnx"].predict, "activity": lambda _path: has_speech(waveform), **peers}
        alone = seconds_in_turns(
            {name: lambda answer=answer: answer(path) for name, answer in answers.items()}, ROUNDS
        )
    times, file = {name: 1e3 * seconds for name, seconds in alone.items()}, f"file of {SECONDS:g} s to answer"
    outcomes = [compared(file, name, times["ours"], times[name], "ms", BARS[name], "faster") for name in peers]
    pytorch = (times[PYTORCH], times[WAV2VEC2], "ms", PYTORCH_BAR, "faster")
    activity = (times["activity"], times["ours"], "ms", SHARE_BAR, "ratio")
    return [
        *outcomes,
        compared(f"{file} in PyTorch", WAV2VEC2, *pytorch),
        compared("speech activity alone", "ours", *activity),
        *without_decoding(recognizers),
    ]


def without_decoding(recognizers: dict[str, EmotionRecognizer]) -> list[Outcome]:
    """Features and network alone, of single clips and of a batch."""
    generator = np.random.default_rng(0)
    clips = [speech_like(SECONDS * generator.uniform(0.8, 1.2), seed=index) for index in range(BATCH_SIZE)]
    contestants = {}
    for name, recognizer in recognizers.items():
        contestants[name, "batch"] = functools.partial(recognizer.backend.run, clips)
        contestants[name, "alone"] = functools.partial(one_by_one, recognizer.backend, clips)
    seconds = seconds_in_turns(contestants, ROUNDS)
    times = {key: 1e3 * value / BATCH_SIZE for key, value in seconds.items()}
    alone, batched = "features and network, a clip alone", f"features and network, a clip in a batch of {BATCH_SIZE}"
    ours, ours_alone = times["onnx", "batch"], times["onnx", "alone"]
    return [
        compared(alone, PYTORCH, ours_alone, times["torch", "alone"], "ms", NETWORK_BAR, "faster"),
        compared(batched, PYTORCH, ours, times["torch", "batch"], "ms", NETWORK_BAR, "faster"),
        compared(batched, "a clip alone", ours, ours_alone, "ms", BATCH_BAR, "ratio"),
    ]


def one_by_one(backend: Backend, clips: list[np.ndarray]) -> None:
    """Run each clip alone."""
    for clip in clips:
        backend.run([clip])


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
