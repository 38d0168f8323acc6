"""The recogniser: same answers as the transformers model, long recordings, batches, checkpoints that are none."""

import itertools
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from datasets import Audio, Dataset

from ser_model import (
    AudioError,
    EmotionRecognizer,
    SERFeatureExtractor,
    SERForAudioClassification,
)
from ser_model import (
    recognizer as module,
)
from ser_model.adaptation import AdaptedBackend
from ser_model.answer_rule import AnswerRule
from ser_model.backend import Backend, BackendOutput
from ser_model.moments import HOP_SECONDS, WINDOW_SECONDS, moments
from ser_model.prediction import NO_SPEECH, Prediction, Segment
from ser_model.recognizer import BATCH_SIZE, WHOLE_SECONDS
from tests.conftest import LABELS
from train.augment.voice import RATE, speech_like


PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recognizer(checkpoint) -> EmotionRecognizer:
    return EmotionRecognizer.from_pretrained(checkpoint)


@pytest.fixture(scope="module")
def long_recording(speech) -> np.ndarray:
    """A voice from 0 to 6 s and another from 12 to 18 s."""
    silence = np.zeros(6 * RATE, np.float32)
    return np.concatenate([speech_like(6.0, 110.0), silence, speech_like(6.0, 230.0, seed=3)])


DERIVED = ("confidence", "sure", "candidates", "arousal")


def transformers_probabilities(checkpoint, waveforms) -> np.ndarray:
    extractor = SERFeatureExtractor.from_pretrained(checkpoint)
    model = SERForAudioClassification.from_pretrained(checkpoint).eval()
    with torch.inference_mode():
        inputs = extractor(waveforms, sampling_rate=RATE, return_tensors="pt")
        return model(**inputs).logits.softmax(-1).numpy()


def scores_of(predictions) -> np.ndarray:
    return np.array([list(prediction.scores.values()) for prediction in predictions])


def test_same_probabilities_as_the_transformers_model(recognizer, checkpoint, speech):
    expected = transformers_probabilities(checkpoint, [speech])
    prediction = recognizer.predict(speech, sampling_rate=RATE)
    assert tuple(prediction.scores) == recognizer.labels == LABELS
    np.testing.assert_allclose(scores_of([prediction]), expected, atol=1e-6)
    assert prediction.label == LABELS[expected.argmax()]
    assert prediction.confidence == pytest.approx(expected.max(), abs=1e-6)


def test_prediction_of_a_short_recording(recognizer, speech_file):
    prediction = recognizer.predict(speech_file)
    assert prediction.speech
    assert prediction.duration == 3.0
    assert sum(prediction.scores.values()) == pytest.approx(1)
    expected = Segment(prediction.label, prediction.scores, True, 0.0, 3.0)
    assert prediction.segments == (expected,)


@pytest.mark.parametrize("seconds", [0.001, 0.02, 1.0, 8.0])
def test_no_speech(recognizer, seconds):
    noise = np.random.default_rng(0).standard_normal(int(seconds * RATE)) * 0.05
    prediction = recognizer.predict(noise, sampling_rate=RATE)
    assert prediction.label == NO_SPEECH
    assert not prediction.speech
    assert prediction.confidence == 0.0
    assert prediction.scores == dict.fromkeys(LABELS, 0.0)
    assert prediction.ranked() == []
    assert not any(segment.speech for segment in prediction.segments)


def test_ranked_and_json(recognizer, speech):
    prediction = recognizer.predict(speech, sampling_rate=RATE)
    ranked = prediction.ranked()
    assert [label for label, _ in ranked[:1]] == [prediction.label]
    assert sorted(prediction.scores.values(), reverse=True) == [score for _, score in ranked]
    assert prediction.ranked(2) == ranked[:2]
    restored = json.loads(json.dumps(prediction.to_dict()))
    assert restored["confidence"] == prediction.confidence
    assert restored["sure"] == prediction.sure
    assert tuple(restored["candidates"]) == prediction.candidates
    assert restored["arousal"] == prediction.arousal
    segments = tuple(Segment(**given(segment)) for segment in restored.pop("segments"))
    assert Prediction(**given(restored), segments=segments) == prediction


def given(answer: dict) -> dict:
    """A dictionary of an answer without what follows from the rest."""
    return {name: value for name, value in answer.items() if name not in DERIVED}


class BackendThatKnowsVoices(Backend):
    """Nine tenths for one emotion, and a familiarity that falls from waveform to waveform."""

    labels = ("angry", "sad")
    rule = AnswerRule(answer_threshold=0.95)

    def __init__(self):
        self.heard = 0

    def run(self, waveforms):
        familiarity = 1 / np.arange(self.heard + 1, self.heard + len(waveforms) + 1, dtype=np.float32)
        self.heard += len(waveforms)
        return BackendOutput(np.tile(np.float32([0.1, 0.9]), (len(waveforms), 1)), familiarity)


def test_familiarity_and_rule_are_the_backends(speech):
    silence = np.zeros(RATE)
    recognizer = EmotionRecognizer(BackendThatKnowsVoices())
    answers = recognizer.predict_batch([speech, silence, speech[: 2 * RATE]], sampling_rate=RATE)
    assert [answer.familiarity for answer in answers] == [0.5, None, 1.0]  # the shorter one is heard first
    assert [answer.segments[0].familiarity for answer in answers] == [0.5, None, 1.0]
    assert not any(answer.sure for answer in answers)
    assert recognizer.predict(speech, sampling_rate=RATE).familiarity == pytest.approx(1 / 3)


def test_familiarity_of_a_long_recording_is_the_mean_of_its_segments():
    recording = np.concatenate([speech_like(20.0), np.zeros(5 * RATE)])
    answer = EmotionRecognizer(BackendThatKnowsVoices()).predict(recording, sampling_rate=RATE)
    spoken = [segment.familiarity for segment in answer.segments if segment.speech]
    assert len(spoken) > BATCH_SIZE
    assert answer.familiarity == pytest.approx(np.mean(spoken))
    assert {segment.familiarity for segment in answer.segments if not segment.speech} == {None}
    assert {segment.rule for segment in answer.segments} == {answer.rule} == {BackendThatKnowsVoices.rule}


def test_a_correction_for_a_voice_leaves_familiarity_and_rule(speech):
    backend = AdaptedBackend(BackendThatKnowsVoices(), np.float32([1, 0]))
    output = backend.run([speech])
    assert output.familiarity == [1.0]
    assert output.probabilities[0, 0] > 0.1
    assert backend.rule == BackendThatKnowsVoices.rule


def test_a_prediction_cannot_be_changed(recognizer, speech):
    with pytest.raises(AttributeError):
        recognizer.predict(speech, sampling_rate=RATE).label = "happy"


def test_long_recording(recognizer, checkpoint, long_recording):
    shares = []
    prediction = recognizer.predict(long_recording, sampling_rate=RATE, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert [(segment.start, segment.end) for segment in prediction.segments] == [(i, i + 1) for i in range(18)]
    spoken = [segment.speech for segment in prediction.segments]
    assert spoken == [True] * 6 + [False] * 6 + [True] * 6
    firsts = [round(max(0, min(segment.start - 1, 15)) * RATE) for segment in prediction.segments]
    windows = [long_recording[first : first + 3 * RATE] for first in firsts]
    expected = transformers_probabilities(checkpoint, [w for w, speaks in zip(windows, spoken, strict=True) if speaks])
    np.testing.assert_allclose(scores_of(s for s in prediction.segments if s.speech), expected, atol=1e-6)
    np.testing.assert_allclose(scores_of([prediction])[0], expected.mean(0), atol=1e-6)
    assert prediction.segments[8].label == NO_SPEECH


def test_a_decoded_waveform_is_answered_as_any_recording(recognizer, speech, long_recording):
    for waveform in (speech, long_recording, np.zeros(RATE, np.float32)):
        shares = []
        decoded = np.asarray(waveform, np.float32)
        answer = recognizer.predict_waveform(decoded, progress=shares.append)
        assert answer.to_dict() == recognizer.predict(decoded, sampling_rate=RATE).to_dict()
        assert shares == sorted(shares)


def test_progress_of_a_long_recording_without_speech(recognizer):
    shares = []
    recognizer.predict(np.zeros(80 * RATE), sampling_rate=RATE, progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 3
    assert shares[-1] == 1.0


def test_an_hour_is_answered_and_no_second_more(recognizer):
    hour = np.zeros(3600 * RATE, np.float32)
    hour[-6 * RATE :] = speech_like(6.0)
    prediction = recognizer.predict(hour, sampling_rate=RATE)
    assert [segment.speech for segment in prediction.segments] == [False] * 3594 + [True] * 6
    with pytest.raises(AudioError, match="60 min 1 s long: at most 60 min are accepted"):
        recognizer.predict(np.zeros(3601 * RATE, np.float32), sampling_rate=RATE)


MEMORY = """
import resource, sys
from ser_model import EmotionRecognizer
recognizer = EmotionRecognizer.from_pretrained(num_threads=1)
for path in sys.argv[1:]:
    recognizer.predict(path)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_an_hour_takes_hardly_more_memory_than_a_minute(tmp_path):
    minute = np.tile(speech_like(6.0), 10)
    for name, count in (("minute", 1), ("hour", 60)):
        with soundfile.SoundFile(tmp_path / f"{name}.flac", "w", RATE, 1) as file:
            file.write(minute)
            for _ in range(count - 1):
                file.write(np.zeros(60 * RATE))
    command = [sys.executable, "-c", MEMORY, tmp_path / "minute.flac", tmp_path / "hour.flac"]
    process = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    minute, hour = (int(line) >> 10 for line in process.stdout.split())
    assert hour - minute <= 50  # MiB; the waveform alone has 220


@pytest.mark.parametrize("duration", [6.01, 7.0, 7.999, 60.5])
@pytest.mark.parametrize("piece", [700, 160_001])
def test_moments_have_no_gaps_and_windows_are_around_them(monkeypatch, duration, piece):
    monkeypatch.setattr("ser_model.moments.speaks", lambda *_: True)
    waveform = np.arange(int(duration * RATE), dtype=np.float32)
    known = list(moments(waveform[start : start + piece] for start in range(0, len(waveform), piece)))
    assert known[0].start == 0
    assert known[-1].end == len(waveform) / RATE
    assert all(left.end == right.start for left, right in itertools.pairwise(known))
    for start, end, window in known:
        assert HOP_SECONDS <= end - start < 2 * HOP_SECONDS
        first = min(max(0.0, (start + end - WINDOW_SECONDS) / 2), known[-1].end - WINDOW_SECONDS)
        assert len(window) == WINDOW_SECONDS * RATE
        assert window[0] == pytest.approx(first * RATE, abs=0.5)


def test_recordings_up_to_the_limit_are_answered_as_a_whole(recognizer, checkpoint):
    voice = speech_like(WHOLE_SECONDS)
    prediction = recognizer.predict(voice, sampling_rate=RATE)
    assert len(prediction.segments) == 1
    np.testing.assert_allclose(scores_of([prediction]), transformers_probabilities(checkpoint, [voice]), atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_batches_give_the_same_in_the_same_order(monkeypatch, recognizer, long_recording, batch_size):
    monkeypatch.setattr(module, "QUEUED_BATCHES", 2)
    lengths = (2.0, 3.0, 1.0, 2.5, 0.8, 3.0, 1.7)
    recordings = [speech_like(length, 100.0 + 20 * index) for index, length in enumerate(lengths)]
    recordings[2:2] = [np.zeros(RATE), long_recording]
    together = recognizer.predict_batch(recordings, sampling_rate=RATE, batch_size=batch_size)
    alone = [recognizer.predict(recording, sampling_rate=RATE) for recording in recordings]
    assert [(p.label, p.duration, p.speech) for p in together] == [(p.label, p.duration, p.speech) for p in alone]
    np.testing.assert_allclose(scores_of(together), scores_of(alone), atol=1e-5)


def test_a_batch_may_be_a_generator(recognizer, speech):
    together = recognizer.predict_batch((clip for clip in [speech, speech[:RATE]]), sampling_rate=RATE)
    assert together == recognizer.predict_batch([speech, speech[:RATE]], sampling_rate=RATE)


def test_a_batch_of_none_and_a_wrong_batch(recognizer, speech_file, tmp_path):
    assert recognizer.predict_batch([]) == []
    with pytest.raises(ValueError, match="batch_size"):
        recognizer.predict_batch([speech_file], batch_size=0)
    with pytest.raises(ValueError, match="list of recordings"):
        recognizer.predict_batch(str(speech_file))


def test_a_row_of_a_dataset_is_answered(recognizer, speech_file):
    """The decoder that datasets gives, where torchcodec is there and finds its libraries."""
    rows = Dataset.from_dict({"audio": [str(speech_file)]}).cast_column("audio", Audio())
    try:
        audio = rows[0]["audio"]
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"torchcodec does not load: {error}".partition("\n")[0])
    expected = recognizer.predict(speech_file)
    assert recognizer.predict(audio).scores == pytest.approx(expected.scores, abs=1e-4)
    assert recognizer.predict_batch([audio])[0].label == expected.label


def test_a_bad_recording_of_a_batch_is_named(recognizer, speech_file):
    with pytest.raises(AudioError, match=r"Recording 2 of 3: There is no file 'missing\.wav'"):
        recognizer.predict_batch([speech_file, "missing.wav", speech_file])


def test_the_number_of_threads(checkpoint):
    before = torch.get_num_threads()
    try:
        EmotionRecognizer.from_pretrained(checkpoint, num_threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def damaged(checkpoint, tmp_path) -> Path:
    """A copy of the checkpoint, to be damaged."""
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def refused(path) -> str:
    with pytest.raises(OSError, match=r".") as caught:
        EmotionRecognizer.from_pretrained(path)
    return str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file(damaged, name):
    (damaged / name).unlink()
    assert name in refused(damaged)
    assert "save_pretrained" in refused(damaged)


def test_no_such_folder(tmp_path):
    assert "There is no folder" in refused(tmp_path / "nothing")
    assert "There is no folder" in refused(str(tmp_path / "nothing"))


def test_another_kind_of_model(damaged):
    (damaged / "config.json").write_text('{"model_type": "wav2vec2"}')
    assert "'wav2vec2'" in refused(damaged)


@pytest.mark.parametrize("content", ["not json", "[1]"])
def test_a_damaged_config(damaged, content):
    (damaged / "config.json").write_text(content)
    assert "no JSON object" in refused(damaged)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("config.json", {"pooling": "magic"}, "pooling must be one of"),
        ("config.json", {"lstm_sizes": "many"}, "lstm_sizes"),
        ("config.json", {"lstm_sizes": [10**9]}, "lstm_sizes takes up to 64 numbers from 1 to 8192"),
        ("config.json", {"lstm_sizes": [8] * 100_000}, "lstm_sizes takes up to 64 numbers"),
        ("config.json", {"lstm_sizes": [8192] * 64}, "do not fit the config"),  # a terabyte
        ("config.json", {"dense_sizes": [-5]}, "dense_sizes takes up to 64 numbers"),
        ("config.json", {"conv_strides": [0]}, "conv_strides takes up to 64 numbers"),
        ("config.json", {"attention_heads": 10**9}, "attention_heads must be from 1 to 8192"),
        ("config.json", {"feature_size": 10**9}, "feature_size must be from 1 to 8192"),
        ("config.json", {"feature_names": ["log_mel"]}, "gives mfcc, mfcc_delta, config.json expects log_mel"),
        ("config.json", {"voice_directions": 10**9}, "voice_directions must be from 0 to 8192"),
        ("config.json", {"lstm_dropout": math.nan}, "lstm_dropout is a share"),
        ("config.json", {"dtype": "float7"}, "float7"),
        ("config.json", {"temperature": math.nan}, "temperature must be positive"),
        ("config.json", {"temperature": math.inf}, "temperature must be positive"),
        ("config.json", {"temperature": 1e308}, "temperature must be positive"),
        ("config.json", {"heads": {"sequence": math.nan}}, "weights of the heads must be positive"),
        ("config.json", {"id2label": {"0": "sad", "7": "happy"}}, "must number the labels from 0 on"),
        ("preprocessor_config.json", {"n_fft": 1 << 30}, "n_fft must be a whole number from 2 to 65536"),
        ("preprocessor_config.json", {"hop_length": 0}, "hop_length must be a whole number from 1 to"),
        ("preprocessor_config.json", {"n_mels": "many"}, "n_mels must be a whole number"),
        ("preprocessor_config.json", {"top_db": math.nan}, "top_db must be a number, got nan"),
        ("preprocessor_config.json", {"top_db": None}, "top_db must be a number, got None"),
        ("preprocessor_config.json", {"fmin": 9000}, "0 <= fmin < fmax"),
        ("preprocessor_config.json", {"fmax": 1e30}, "<= 16000 (sampling_rate) must hold"),
        ("preprocessor_config.json", {"padding_value": None}, "padding_value must be a number, got None"),
        ("preprocessor_config.json", {"padding_value": 1e308}, "padding_value must be a number, got 1e+308"),
        ("preprocessor_config.json", {"n_mfcc": 1000}, "n_mfcc"),
        ("preprocessor_config.json", {"n_mfcc": 13}, "26 features per frame"),
        ("preprocessor_config.json", {"sampling_rate": 8000}, "8000 Hz"),
    ],
)
def test_settings_that_do_not_fit(damaged, name, change, expected):
    path = damaged / name
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert expected in refused(damaged)


def test_an_extractor_that_gives_no_mask_by_default(damaged, speech_file):
    whole = EmotionRecognizer.from_pretrained(damaged, backend="torch").predict(speech_file)
    path = damaged / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"return_attention_mask": False}))
    assert EmotionRecognizer.from_pretrained(damaged, backend="torch").predict(speech_file).scores == whole.scores


def test_damaged_weights(damaged):
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "damaged or do not fit" in refused(damaged)


def test_weights_of_another_size(damaged):
    config = json.loads((damaged / "config.json").read_text())
    (damaged / "config.json").write_text(json.dumps(config | {"dense_sizes": [11]}))
    assert "damaged or do not fit" in refused(damaged)


def test_an_unknown_backend(checkpoint):
    with pytest.raises(ValueError, match="torch"):
        EmotionRecognizer.from_pretrained(checkpoint, backend="tensorflow")


def test_pytorch_answers_where_onnxruntime_is_missing(monkeypatch):
    assert type(EmotionRecognizer.from_pretrained().backend).__name__ == "OnnxBackend"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert type(EmotionRecognizer.from_pretrained().backend).__name__ == "TorchBackend"


def test_from_the_hub(monkeypatch, checkpoint, tmp_path):
    asked = {}

    def snapshot_download(repo_id, **options):
        asked.update(options, repo_id=repo_id)
        return str(checkpoint)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    recognizer = EmotionRecognizer.from_pretrained("someone/emotions", revision="v1", cache_dir=tmp_path)
    assert recognizer.labels == LABELS
    assert asked["repo_id"] == "someone/emotions"
    assert asked["revision"] == "v1"
    assert asked["cache_dir"] == tmp_path
    of_torch = {"config.json", "preprocessor_config.json", "model.safetensors"}
    assert set(asked["allow_patterns"]) == {*of_torch, "model.onnx"}
    EmotionRecognizer.from_pretrained("someone/emotions", backend="torch")
    assert set(asked["allow_patterns"]) == of_torch


def test_a_model_that_the_hub_does_not_have(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = refused("nobody/no-such-model")
    assert "nobody/no-such-model" in message
    assert "Hub" in message


def test_a_prediction_imports_no_more_than_it_needs(checkpoint, speech_file):
    script = """
import sys
from ser_model import EmotionRecognizer
recognizer = EmotionRecognizer.from_pretrained(sys.argv[1])
assert recognizer.predict(sys.argv[2]).speech
unwanted = ("librosa", "numba", "scipy", "sklearn", "datasets", "train", "gradio", "transformers.modeling_utils")
print([name for name in unwanted if name in sys.modules])
"""
    command = [sys.executable, "-c", script, checkpoint, speech_file]
    process = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"
    assert process.stderr == ""


def test_files_of_every_corpus(recognizer, corpora_root):
    for corpus in sorted(path for path in corpora_root.iterdir() if path.is_dir()):
        clip = next(path for path in sorted(corpus.rglob("*")) if path.suffix in (".wav", ".flac", ".ogg"))
        prediction = recognizer.predict(clip)
        assert prediction.speech, clip
        assert prediction.duration == pytest.approx(soundfile.info(clip).duration, abs=0.01)
