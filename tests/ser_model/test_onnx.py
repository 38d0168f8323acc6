"""The exported file answers as PyTorch does, whatever the settings, lengths and padding, and without PyTorch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile

from ser_model import EmotionRecognizer
from ser_model.__main__ import main
from ser_model.answer_rule import AnswerRule
from ser_model.audio_io import load_audio
from ser_model.configuration_ser import HEADS
from ser_model.network_ser import SERNetwork
from ser_model.onnx_backend import OnnxBackend
from ser_model.onnx_export import export_onnx, quantise_weights
from ser_model.recognizer import PRETRAINED
from ser_model.torch_backend import TorchBackend
from tests.conftest import LABELS, save_random_checkpoint
from tests.odd_clips import clips as odd_clips
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
        | {"lstm_bidirectional": True, "lstm_residual": True, "pooling": "attention_statistics"},
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
        {"lstm_sizes": [24], "pooling": "mean"},
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
        answers = backend.session.run(None, {"waveforms": padded, "lengths": lengths})[0]
        np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_file_tells_what_it_is_and_nothing_of_this_machine(shipped):
    for path in shipped.values():
        model = onnx.load(path)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        assert metadata.keys() == {"labels", "sampling_rate", "answer_threshold", "candidate_mass"}
        assert json.loads(metadata["labels"]) == list(TorchBackend(PRETRAINED).labels)
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
        content = path.read_bytes()
        assert not any(trace in content for trace in (b".py", str(PROJECT).encode(), b"site-packages", b'File "'))


class NetworkThatKnowsVoices(SERNetwork):
    """Measures a familiarity, which is that of the anger."""

    def forward(self, input_features, attention_mask=None):
        output = super().forward(input_features, attention_mask)
        return output._replace(familiarity=output.logits[:, 0].sigmoid())


def test_familiarity_and_thresholds_are_exported(clips, tmp_path, monkeypatch):
    monkeypatch.setattr("ser_model.torch_backend.SERNetwork", NetworkThatKnowsVoices)
    rule = {"answer_threshold": 0.625, "candidate_mass": 0.71}
    checkpoint = save_random_checkpoint(tmp_path, {"feature_names": ["mfcc"]}, {"lstm_sizes": [6], **rule})
    export_onnx(checkpoint, tmp_path / "model.onnx")
    of_torch, of_file = TorchBackend(checkpoint), OnnxBackend(tmp_path)
    assert of_torch.rule == of_file.rule == AnswerRule(**rule)
    expected, answer = of_torch.run(clips[-3:]), of_file.run(clips[-3:])
    assert answer.familiarity.shape == (3,)
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
prediction = EmotionRecognizer.from_pretrained(sys.argv[1], backend="onnx", num_threads=1).predict(sys.argv[2])
assert not {"torch", "transformers", "onnx", "onnxscript"} & sys.modules.keys()
print(json.dumps(prediction.to_dict()))
"""


def test_recogniser_answers_without_pytorch(shipped, tmp_path):
    soundfile.write(tmp_path / "long.wav", speech_like(9.0), RATE)
    command = [sys.executable, "-c", ANSWER_WITHOUT_TORCH, str(shipped[False]), str(tmp_path / "long.wav")]
    process = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout)
    expected = EmotionRecognizer.from_pretrained().predict(tmp_path / "long.wav").to_dict()
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


def nothing() -> onnx.ModelProto:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "nothing", [value], [output])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("waveform", [np.zeros(0), np.full(99, np.nan), np.zeros((2, 99))], ids=str)
def test_waveforms_that_are_none(waveform, shipped):
    with pytest.raises(ValueError, match="finite samples is needed"):
        OnnxBackend(shipped[False]).probabilities([waveform.astype(np.float32)])


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
