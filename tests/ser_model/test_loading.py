"""Every door to a checkpoint gives the same logits: auto classes, plain import, pipeline, in fresh processes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from transformers import pipeline
from transformers.utils import is_torchaudio_available

from ser_model import SERConfig, SERFeatureExtractor, SERForAudioClassification
from ser_model.audio_io import load_audio
from train.fit.checkpoint import Checkpoint, save_checkpoint
from train.fit.recipe import Recipe


PROJECT = Path(__file__).parents[2]
CLIP_SECONDS = (0.3, 1.0, 2.2, 3.1)

PRELUDE = """
import json, sys
import numpy as np, torch
torch.set_num_threads(1)
folder, clips_path = sys.argv[1:]
clips = list(np.load(clips_path).values())
def answer(logits):
    print(json.dumps(torch.as_tensor(logits).tolist()))
"""

AUTO_CLASSES = (
    PRELUDE
    + """
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification
config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
extractor = AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=True)
model, info = AutoModelForAudioClassification.from_pretrained(folder, trust_remote_code=True, output_loading_info=True)
assert not any(info[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
encoder, info = AutoModel.from_pretrained(folder, trust_remote_code=True, output_loading_info=True)
assert not info["missing_keys"], info
assert list(config.id2label.values()) == ["angry", "happy", "sad"], config.id2label
assert not any(name == "ser_model" or name.startswith("train") for name in sys.modules)
inputs = extractor(clips, sampling_rate=16000, return_tensors="pt")
with torch.inference_mode():
    logits = model.eval()(**inputs).logits
    encoded = encoder.eval()(**inputs)
    assert torch.equal(model.classifier(encoded.pooler_output, encoded.functionals, encoded.voiced_seconds), logits)
answer(logits)
"""
)

PLAIN_IMPORT = (
    PRELUDE
    + """
from ser_model import SERFeatureExtractor, SERForAudioClassification
extractor = SERFeatureExtractor.from_pretrained(folder)
model = SERForAudioClassification.from_pretrained(folder).eval()
with torch.inference_mode():
    answer(model(**extractor(clips, sampling_rate=16000, return_tensors="pt")).logits)
"""
)

PIPELINE = (
    PRELUDE
    + """
from transformers import pipeline
classify = pipeline("audio-classification", model=folder, trust_remote_code=True)
def logits(outcome):
    scores = {entry["label"]: entry["score"] for entry in outcome}
    return [scores[label] for label in ("angry", "happy", "sad")]
raw = dict(top_k=None, function_to_apply="none")
single = [logits(classify(clip, **raw)) for clip in clips]
batched = [logits(outcome) for outcome in classify([clip for clip in clips], batch_size=4, **raw)]
assert np.allclose(single, batched, atol=1e-5), (single, batched)
best = classify(clips[0], top_k=1)
assert len(best) == 1 and best[0]["label"] == max(zip(single[0], ("angry", "happy", "sad")))[1]
assert abs(sum(entry["score"] for entry in classify(clips[0], top_k=None)) - 1) < 1e-5
answer(single)
"""
)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.normal(0, 0.1, int(16000 * seconds)).astype(np.float32) for seconds in CLIP_SECONDS]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A random checkpoint as training writes it, its path with a space and an emoji."""
    recipe = Recipe(
        name="tiny",
        description="For tests.",
        corpora=["ravdess"],
        labels=["angry", "happy", "sad"],
        features={"feature_names": ["mfcc", "mfcc_delta"], "n_mfcc": 20},
        network={
            "conv_channels": [16],
            "conv_kernel_sizes": [5],
            "conv_strides": [2],
            "lstm_sizes": [16],
            "lstm_bidirectional": True,
            "pooling": "attention",
            "attention_heads": 2,
        },
    )
    torch.manual_seed(0)
    model = SERForAudioClassification(recipe.config()).eval()
    model.ser.set_feature_statistics(torch.randn(40), torch.rand(40) + 10)
    folder = tmp_path_factory.mktemp("a checkpoint 🎤")
    save_checkpoint(Checkpoint(model, recipe.feature_extractor(), recipe, 0, frozenset({"ravdess-01"})), folder)
    return folder


@pytest.fixture(scope="module")
def expected(checkpoint, clips) -> np.ndarray:
    model = SERForAudioClassification.from_pretrained(checkpoint).eval()
    extractor = SERFeatureExtractor.from_pretrained(checkpoint)
    with torch.inference_mode():
        return model(**extractor(clips, sampling_rate=16000, return_tensors="pt")).logits.numpy()


@pytest.mark.parametrize(
    ("script", "with_project"),
    [(AUTO_CLASSES, False), (PIPELINE, False), (PLAIN_IMPORT, True)],
    ids=["auto classes", "pipeline", "plain import"],
)
def test_every_door_gives_the_same_logits(script, with_project, checkpoint, clips, expected, tmp_path, monkeypatch):
    np.savez(tmp_path / "clips.npz", *clips)
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT) if with_project else "")
    process = subprocess.run(
        [sys.executable, "-c", script, str(checkpoint), str(tmp_path / "clips.npz")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    logits = np.array(json.loads(process.stdout.splitlines()[-1]))
    np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=0)


def test_the_pipeline_takes_other_rates_where_torchaudio_is(checkpoint, clips):
    """transformers resamples before our extractor sees anything; docs/inputs.md says what it needs for that."""
    extractor = SERFeatureExtractor.from_pretrained(checkpoint)
    model = SERForAudioClassification.from_pretrained(checkpoint)
    classify = pipeline("audio-classification", model=model, feature_extractor=extractor)
    row = {"path": None, "array": soxr.resample(clips[2], 16000, 48000, "HQ"), "sampling_rate": 48000}
    if not is_torchaudio_available():
        with pytest.raises(ImportError, match="pip install torchaudio"):
            classify(row)
        assert "`pip install torchaudio`" in (PROJECT / "docs" / "inputs.md").read_text()
        row = load_audio(row)
    expected = {entry["label"]: entry["score"] for entry in classify(clips[2])}
    assert {entry["label"]: entry["score"] for entry in classify(row)} == pytest.approx(expected, abs=0.02)


def test_checkpoint_has_only_data_and_code(checkpoint):
    """Weights are safetensors, nothing is a pickle, and every module that the code needs is there."""
    assert {path.name for path in checkpoint.iterdir()} == {
        "acoustics.py",
        "answer_rule.py",
        "config.json",
        "configuration_ser.py",
        "feature_extraction_ser.py",
        "frame_features.py",
        "functionals.py",
        "model.safetensors",
        "modeling_ser.py",
        "network_ser.py",
        "preprocessor_config.json",
        "recipe.json",
    }


def test_labels_travel_in_the_configuration(checkpoint):
    assert SERConfig.from_pretrained(checkpoint).id2label == {0: "angry", 1: "happy", 2: "sad"}
