"""From a file to the answer, on one thread, against wav2vec2-base (with random weights: the cost is the same)."""

import tempfile
from pathlib import Path

import soundfile
import torch

from benchmarks.measuring import Outcome, medians
from ser_model.audio_io import SAMPLING_RATE
from ser_model.recognizer import EmotionRecognizer
from train.augment.voice import speech_like


ROUNDS = 15
SECONDS = 3.0
BAR = 40.0


def run() -> list[Outcome]:
    """One comparison."""
    torch.set_num_threads(1)
    recognizer = EmotionRecognizer.from_pretrained()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.wav")
        soundfile.write(path, speech_like(SECONDS), SAMPLING_RATE)
        if not recognizer.predict(path).speech:
            raise RuntimeError("The generated clip counts as no speech, so the network would not be measured.")
        peer = wav2vec2_base()
        ours, theirs = medians(lambda: recognizer.predict(path), lambda: peer(path), ROUNDS)
    name = f"file of {SECONDS:g} s to answer"
    return [Outcome(name, "wav2vec2-base", 1e3 * ours, 1e3 * theirs, "ms", BAR, "faster")]


def wav2vec2_base():  # noqa: ANN201 (a local function of a path)
    """A function that classifies a file with wav2vec2-base."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

    extractor = Wav2Vec2FeatureExtractor()
    model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(num_labels=7)).eval()

    @torch.inference_mode()
    def classify(path: Path) -> torch.Tensor:
        waveform, rate = soundfile.read(path, dtype="float32")
        inputs = extractor(waveform, sampling_rate=rate, return_tensors="pt")
        return model(**inputs).logits.softmax(-1)

    return classify
