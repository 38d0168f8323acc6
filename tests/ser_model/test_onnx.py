"""The exported file answers as PyTorch does, whatever the settings, lengths and padding, and without PyTorch."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import torch

from ser_model import EmotionRecognizer
from ser_model.__main__ import main
from ser_model.acoustics import power_spectrogram
from ser_model.answer_rule import AnswerRule
from ser_model.audio_io import load_audio
from ser_model.configuration_ser import HEADS
from ser_model.frame_features import fourier_lag_products
from ser_model.inspection import inspect
from ser_model.onnx_backend import OnnxBackend, softmax
from ser_model.onnx_export import export_onnx, quantise_weights
from ser_model.onnx_layers import folded_lag_products, folded_power_spectrogram
from ser_model.recognizer import PRETRAINED
from ser_model.torch_backend import TorchBackend
from tests.conftest import LABELS, save_random_checkpoint
from train.augment.odd_clips import clips as odd_clips
from train.augment.voice import RATE, speech_like
from train.data.loading import load_corpus
from train.metrics.uar.uar import unweighted_average_recall


PROJECT = Path(__file__).parents[2]
CLOSE = 1e-4  # probabilities of the float file
CLOSE_INT8 = 0.01
CLOSE_PITCH = 2e-3  # with untrained functionals; rounding decides whether a frame of an odd clip is voiced
LARGEST, LARGEST_INT8 = 4e6, 1.5e6  # bytes
REAL_CLIPS = 210

# Between them, every setting that the graph depends on; the last entry are options of the command line.
SETTINGS = {
    "trimmed": (
        {"feature_names": ["log_mel", "mfcc"], "n_mfcc": 13, "trim_db": 30.0, "db_reference": "peak"},
        {"conv_channels": [6, 6], "conv_kernel_sizes": [5, 3], "conv_strides": [1, 3], "lstm_sizes": [6, 6]}
        | {"lstm_bidirectional": True, "lstm_residual": True, "pooling": "attention", "attention_heads": 2},
        [],
    ),
    "odd window": (
        {"feature_names": ["mfcc", "mfcc_delta", "mfcc_delta2"], "n_fft": 400, "win_length": 301, "hop_length": 200},
        {"lstm_sizes": [6, 5], "lstm_bidirectional": True, "pooling": "last", "temperature": 2.0},
        [],
    ),
    "functionals": (
        {"feature_names": ["mfcc", "spectral_shape", "f0"], "n_mfcc": 5, "db_reference": "peak", "trim_db": 40.0},
        {"lstm_sizes": [6], "functionals": True, "functional_mfcc": 5, "voice_directions": 2, "feature_dropout": 0.3}
        | {"heads": {"sequence": 1, "functionals": 1, "functionals_linear": 1}},
        [],
    ),
    "all heads": (
        {"feature_names": ["mfcc", "spectral_shape", "f0"], "n_mfcc": 5, "db_reference": "peak", "trim_db": 40.0},
        {"conv_channels": [6], "conv_kernel_sizes": [5], "conv_strides": [4], "lstm_sizes": [6], "functionals": True}
        | {"functional_mfcc": 5, "functional_dense_size": 7, "lstm_bidirectional": True}
        | {"feature_dropout": 0.3, "voice_directions": 2, "heads": dict.fromkeys(HEADS, 1.5)},
        [],
    ),
    "int8": (
        {"feature_names": ["mfcc"], "n_fft": 2048, "win_length": 2048, "hop_length": 512},
        {"lstm_sizes": [24]},
        ["--int8"],
    ),
}


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    voices = [
        speech_like(seconds, pitch=100 + 40 * index, seed=index) for index, seconds in enumerate((0.4, 2.0, 5.0))
    ]
    quiet = np.zeros(4000, np.float32)
    return [*odd_clips().values(), *voices, np.concatenate([quiet, voices[0], quiet])]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> dict[bool, Path]:
    """Files of the shipped checkpoint, by whether its weights are int8."""
    folder = tmp_path_factory.mktemp("exported")
    paths = {int8: folder / f"int8-{int8}.onnx" for int8 in (False, True)}
    export_onnx(PRETRAINED, paths[False])
    model = onnx.load(paths[False])
    quantise_weights(model)  # as `export_onnx` does, but an export takes seconds
    onnx.save(model, paths[True])
    return paths


def assert_same(backend: OnnxBackend, expected: TorchBackend, clips: list[np.ndarray], atol: float) -> None:
    """Alone and in one batch, the answers are those of PyTorch to each clip alone."""
    answers = np.concatenate([expected.probabilities([clip]) for clip in clips])
    np.testing.assert_allclose(backend.probabilities(clips), answers, atol=atol, rtol=0)
    alone = np.concatenate([backend.probabilities([clip]) for clip in clips])
    np.testing.assert_allclose(alone, answers, atol=atol, rtol=0)


@pytest.mark.parametrize("settings", SETTINGS)
def test_export_of_any_settings(settings, clips, tmp_path, capsys):
    features, network, options = SETTINGS[settings]
    checkpoint = save_random_checkpoint(tmp_path / "checkpoint", features, network)
    path = tmp_path / "model.onnx"
    assert main(["export", str(checkpoint), "--output", str(path), *options]) == 0
    assert capsys.readouterr().out.startswith(f"{path}: ")
    types = {weight.data_type for weight in onnx.load(path).graph.initializer}
    assert (onnx.TensorProto.INT8 in types) == ("--int8" in options)
    backend = OnnxBackend(path)
    assert backend.labels == LABELS
    close = CLOSE_INT8 if options else CLOSE_PITCH if "f0" in features["feature_names"] else CLOSE
    assert_same(backend, TorchBackend(checkpoint), clips, close)


@pytest.mark.parametrize(("int8", "atol", "size"), [(False, CLOSE, LARGEST), (True, CLOSE_INT8, LARGEST_INT8)])
def test_shipped_checkpoint(int8, atol, size, shipped, clips):
    assert shipped[int8].stat().st_size < size
    assert_same(OnnxBackend(shipped[int8]), TorchBackend(PRETRAINED), clips, atol)


def test_padding_does_not_matter(shipped, clips):
    for path in shipped.values():
        backend = OnnxBackend(path)
        padded = np.full((2, 40000), 0.3, np.float32)  # noise behind the ends
        lengths = np.array([9000, 31234], np.int32)
        for row, length in zip(padded, lengths, strict=True):
            row[:length] = speech_like(2.0)[:length]  # the pitch of a constant would be that of rounding
        expected = [backend.probabilities([row[:length]])[0] for row, length in zip(padded, lengths, strict=True)]
        logits = backend.session.run(None, {"waveforms": padded, "lengths": lengths})[0]
        answers = softmax(logits / backend.temperature)
        np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_file_tells_what_it_is_and_nothing_of_this_machine(shipped):
    for path in shipped.values():
        model = onnx.load(path)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        rule = {"temperature", "familiarity_exponent", "answer_threshold", "candidate_mass"}
        assert metadata.keys() == {"labels", "sampling_rate", "weights_sha256"} | rule
        assert json.loads(metadata["labels"]) == list(TorchBackend(PRETRAINED).labels)
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
        content = path.read_bytes()
        assert not any(trace in content for trace in (b".py", str(PROJECT).encode(), b"site-packages", b'File "'))


def test_familiarity_and_thresholds_are_exported(clips, tmp_path):
    features = {"feature_names": ["mfcc", "spectral_shape", "f0"], "n_mfcc": 13}
    network = {"lstm_sizes": [6], "functionals": True, "heads": {"sequence": 1, "functionals": 1}}
    rule = {"answer_threshold": 0.625, "candidate_mass": 0.71}
    confidence = {"temperature": 0.7, "familiarity_exponent": 0.4}
    checkpoint = save_random_checkpoint(tmp_path, features, network | rule | confidence)
    export_onnx(checkpoint, tmp_path / "model.onnx")
    of_torch, of_file = TorchBackend(checkpoint), OnnxBackend(tmp_path)
    assert of_torch.rule == of_file.rule == AnswerRule(**rule)
    expected, answer = of_torch.run(clips[-3:]), of_file.run(clips[-3:])
    assert answer.familiarity.shape == (3,)
    assert len(set(answer.familiarity)) > 1
    np.testing.assert_allclose(answer.familiarity, expected.familiarity, atol=CLOSE)
    np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=CLOSE)


def test_features_that_cannot_be_exported(tmp_path, capsys):
    features = {"feature_names": ["mfcc", "rms", "f0"]}
    checkpoint = save_random_checkpoint(tmp_path / "checkpoint", features, {"lstm_sizes": [4]})
    assert main(["export", str(checkpoint), "--output", str(tmp_path / "model.onnx")]) == 2
    assert "rms cannot be exported" in capsys.readouterr().err
    assert not (tmp_path / "model.onnx").exists()


ANSWER_WITHOUT_TORCH = """
import json, sys
from ser_model import EmotionRecognizer
model = sys.argv[2] if len(sys.argv) > 2 else None
prediction = EmotionRecognizer.from_pretrained(model, num_threads=1).predict(sys.argv[1])
assert not {"torch", "transformers", "onnx", "onnxscript"} & sys.modules.keys()
print(json.dumps(prediction.to_dict()))
"""


@pytest.mark.parametrize("model", ["the one that comes along", "a file"])
def test_recogniser_answers_without_pytorch(model, shipped, tmp_path):
    soundfile.write(tmp_path / "long.wav", speech_like(9.0), RATE)
    arguments = [str(tmp_path / "long.wav"), *([str(shipped[False])] if model == "a file" else [])]
    command = [sys.executable, "-c", ANSWER_WITHOUT_TORCH, *arguments]
    process = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout)
    expected = EmotionRecognizer.from_pretrained(backend="torch").predict(tmp_path / "long.wav").to_dict()
    assert answer["label"] == expected["label"]
    assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-3)
    for segment, other in zip(answer["segments"], expected["segments"], strict=True):
        assert segment["scores"] == pytest.approx(other["scores"], abs=1e-3)


def test_command_line(shipped, tmp_path, speech_file, capsys):
    arguments = [str(speech_file), "--json", "--backend", "onnx", "--model"]
    assert main([*arguments, str(shipped[False])]) == 0
    (tmp_path / "model.onnx").symlink_to(shipped[False])
    assert main([*arguments, str(tmp_path)]) == 0  # the folder that holds it
    by_file, by_folder = map(json.loads, capsys.readouterr().out.splitlines())
    assert by_file == by_folder
    assert by_file["speech"] is True


def test_a_recording_named_export(checkpoint, speech_file, monkeypatch, capsys):
    speech_file.rename(speech_file.with_name("export"))
    monkeypatch.chdir(speech_file.parent)
    assert main(["./export", "--json", "--model", str(checkpoint)]) == 0
    assert json.loads(capsys.readouterr().out)["speech"] is True


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (None, "There is no file"),
        (lambda path: path.write_bytes(b"no model"), "no ONNX file"),
        (lambda path: onnx.save(nothing(), path), "no exported checkpoint"),
    ],
    ids=["missing", "damaged", "another model"],
)
def test_files_that_are_none(write, message, tmp_path):
    if write is not None:
        write(tmp_path / "model.onnx")
    with pytest.raises(OSError, match=message):
        EmotionRecognizer.from_pretrained(tmp_path, backend="onnx")


SHAPES = [(512, 400, 160), (400, 301, 200), (2048, 2048, 512), (513, 401, 128), (481, 480, 163)]


@pytest.mark.parametrize(("n_fft", "win_length", "hop_length"), SHAPES)
def test_folded_spectrum(n_fft, win_length, hop_length):
    waveforms = torch.from_numpy(speech_like(1.0))[None]
    expected = power_spectrogram(waveforms, n_fft, win_length, hop_length)
    power = folded_power_spectrogram(waveforms, n_fft, win_length, hop_length)
    torch.testing.assert_close(power, expected, atol=2e-6 * float(expected.max()), rtol=0)


@pytest.mark.parametrize(("window", "hop_length"), [(160, 160), (640, 200), (128, 128), (163, 163), (320, 320)])
def test_folded_lag_products(window, hop_length):
    waveforms = torch.from_numpy(speech_like(1.0))[None]
    expected = fourier_lag_products(waveforms, window, 267, hop_length)
    products = folded_lag_products(waveforms, window, 267, hop_length)
    torch.testing.assert_close(products, expected, atol=2e-6 * float(expected.max()), rtol=0)


def nothing() -> onnx.ModelProto:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "nothing", [value], [output])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("waveform", [np.zeros(0), np.full(99, np.nan), np.zeros((2, 99))], ids=str)
def test_waveforms_that_are_none(waveform, shipped):
    with pytest.raises(ValueError, match="finite samples is needed"):
        OnnxBackend(shipped[False]).probabilities([waveform.astype(np.float32)])


def test_the_file_that_comes_along_is_that_of_the_weights(clips):
    """`python -m ser_model export --output ser_model/pretrained/model.onnx` writes it."""
    assert (PRETRAINED / "model.onnx").stat().st_size < LARGEST
    assert_same(OnnxBackend(PRETRAINED), TorchBackend(PRETRAINED), clips, CLOSE)


@pytest.fixture
def exported(checkpoint, tmp_path) -> Path:
    """A small checkpoint with its file."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, folder)
    export_onnx(folder, folder / "model.onnx")
    return folder


def test_which_backend_answers(exported):
    assert isinstance(EmotionRecognizer.from_pretrained(exported).backend, OnnxBackend)
    assert isinstance(EmotionRecognizer.from_pretrained(exported / "model.onnx").backend, OnnxBackend)
    in_torch = EmotionRecognizer.from_pretrained(exported, backend="torch")
    assert isinstance(in_torch.backend, TorchBackend)
    (exported / "model.onnx").unlink()
    assert isinstance(EmotionRecognizer.from_pretrained(exported).backend, TorchBackend)


def test_adapted_answers_are_those_of_pytorch(exported, speech):
    answers = []
    for backend in (None, "torch"):
        adapted = EmotionRecognizer.from_pretrained(exported, backend=backend).adapt([(RATE, speech)])
        answers.append(adapted.predict(speech, sampling_rate=RATE).scores)
    assert answers[0] == pytest.approx(answers[1], abs=CLOSE)


def test_other_weights_are_told(exported):
    weights = exported / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(OSError, match=r"was made of other weights than those in .*python -m ser_model export"):
        EmotionRecognizer.from_pretrained(exported)
    assert isinstance(EmotionRecognizer.from_pretrained(exported, backend="torch").backend, TorchBackend)


def test_a_familiarity_that_is_not_built_in_is_told(exported):
    config = exported / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"familiarity_exponent": 0.9}))
    with pytest.raises(OSError, match=r"another familiarity_exponent than that in .*python -m ser_model export"):
        EmotionRecognizer.from_pretrained(exported)


@pytest.mark.parametrize("content", ["[]", '"abc"', "3", "{"])
def test_settings_that_are_no_object_are_told(exported, content):
    (exported / "config.json").write_text(content)
    with pytest.raises(OSError, match="is no JSON object"):
        OnnxBackend(exported)


def test_temperature_and_thresholds_change_without_another_file(exported, clips):
    config = exported / "config.json"
    changes = {"temperature": 3.0, "answer_threshold": 0.75, "candidate_mass": 0.61}
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))
    of_torch, of_file = TorchBackend(exported), OnnxBackend(exported)
    assert of_file.rule == of_torch.rule == AnswerRule(answer_threshold=0.75, candidate_mass=0.61)
    assert_same(of_file, of_torch, clips, CLOSE)


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", math.nan), ("temperature", 0), ("temperature", "hot"), ("answer_threshold", 1.5)],
)
def test_settings_beside_a_file_that_cannot_be(exported, name, value):
    config = exported / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {name: value}))
    with pytest.raises(OSError, match=f"are not valid: {name} is {value!r}"):
        OnnxBackend(exported)


def test_inside_view_beside_an_exported_file(exported, tmp_path, speech):
    expected = inspect(TorchBackend(exported), speech)
    np.testing.assert_array_equal(inspect(OnnxBackend(exported), speech).log_mel, expected.log_mel)
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(exported / "model.onnx", alone)
    with pytest.raises(OSError, match="is no checkpoint"):
        inspect(OnnxBackend(alone), speech)


def test_real_clips(shipped, corpora_root):
    backend = TorchBackend(PRETRAINED)
    dataset = load_corpus("ravdess", corpora_root, labels=backend.labels).shuffle(seed=0).select(range(REAL_CLIPS))
    clips = [load_audio(row["path"]) for row in dataset]
    expected = np.concatenate([backend.probabilities([clip]) for clip in clips])
    for int8, atol in ((False, CLOSE), (True, CLOSE_INT8)):
        exported = OnnxBackend(shipped[int8], num_threads=1)
        answers = np.concatenate([exported.probabilities([clip]) for clip in clips])
        np.testing.assert_allclose(answers, expected, atol=atol, rtol=0)
        assert uar(answers, dataset["label"]) == pytest.approx(uar(expected, dataset["label"]), abs=0.01)


def uar(probabilities: np.ndarray, labels: list[int]) -> float:
    return unweighted_average_recall(labels, probabilities.argmax(1))
