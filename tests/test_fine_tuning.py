"""Fine-tuning by others: a data set of their own with the columns audio and label, the plain Trainer, other labels;
by our extractor in `map`, and by the steps and defaults of transformers' run_audio_classification."""

import random
from pathlib import Path

import datasets
import numpy as np
import pytest
import soundfile
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
)

from ser_model.recognizer import PRETRAINED
from train.augment.voice import RATE, speech_like


PITCHES = {"bass": 85.0, "tenor": 150.0, "soprano": 260.0}  # Hz
CLIPS = {"train": 24, "test": 10}  # of each label
SPREAD = 0.1  # of the pitch
LONGEST = 0.8  # seconds of a clip that the script trains on
CODE = {"trust_remote_code": True}


@pytest.fixture(scope="module", autouse=True)
def datasets_cache(tmp_path_factory):
    """A folder of this module's own for what `map` computes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture(scope="module")
def voices(tmp_path_factory) -> datasets.DatasetDict:
    """Generated voices of three pitches and of different lengths."""
    folder, generator = tmp_path_factory.mktemp("voices"), np.random.default_rng(0)
    parts = {}
    for part, count in CLIPS.items():
        rows = {"audio": [], "label": []}
        for label, pitch in PITCHES.items():
            for number in range(count):
                path = folder / f"{part}_{label}_{number}.wav"
                seed = int(generator.integers(1 << 31))
                changed = pitch * (1 + SPREAD * generator.uniform(-1, 1))
                soundfile.write(path, speech_like(generator.uniform(0.6, 1.0), changed, seed), RATE)
                rows["audio"].append(str(path))
                rows["label"].append(label)
        parts[part] = datasets.Dataset.from_dict(rows).cast_column("audio", datasets.Audio(decode=False))
    return datasets.DatasetDict(parts).class_encode_column("label")


def accuracy(prediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def test_three_new_labels_are_learnt(voices, tmp_path):
    extractor = AutoFeatureExtractor.from_pretrained(PRETRAINED, **CODE)
    labels = voices["train"].features["label"].names
    model = AutoModelForAudioClassification.from_pretrained(
        PRETRAINED,
        num_labels=len(labels),
        label2id={label: index for index, label in enumerate(labels)},
        id2label=dict(enumerate(labels)),
        ignore_mismatched_sizes=True,
        **CODE,
    )

    def prepare(row: dict) -> dict:
        samples, rate = soundfile.read(row["audio"]["path"], dtype="float32")
        return {"input_features": extractor(samples, sampling_rate=rate)["input_features"][0]}

    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=tmp_path,
            num_train_epochs=20,  # a voice's pitch is what the network has learnt not to mind
            per_device_train_batch_size=8,
            learning_rate=2e-3,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=0,
        ),
        train_dataset=voices["train"].map(prepare, remove_columns="audio"),
        eval_dataset=voices["test"].map(prepare, remove_columns="audio"),
        processing_class=extractor,
        compute_metrics=accuracy,
    )
    trainer.train()
    assert trainer.evaluate()["eval_accuracy"] >= 0.95
    trainer.save_model(tmp_path / "own")
    check_answers(tmp_path / "own", voices["test"])


def check_answers(folder: Path, clips: datasets.Dataset) -> None:
    """The saved copy answers with the new labels, by the features that it was saved with."""
    extractor = AutoFeatureExtractor.from_pretrained(folder, **CODE)
    model = AutoModelForAudioClassification.from_pretrained(folder, **CODE)
    for clip in (clips[0], clips[-1]):
        samples, rate = soundfile.read(clip["audio"]["path"])
        logits = model(**extractor(samples, sampling_rate=rate, return_tensors="pt")).logits[0]
        assert model.config.id2label[int(logits.argmax())] == clips.features["label"].int2str(clip["label"])


@pytest.fixture
def with_other_labels(voices) -> tuple[PreTrainedModel, list[str]]:
    """Our model as the script loads it for other labels, whose numbers it gives as text."""
    labels = voices["train"].features["label"].names
    config = AutoConfig.from_pretrained(
        PRETRAINED,
        num_labels=len(labels),
        label2id={label: str(index) for index, label in enumerate(labels)},
        id2label={str(index): label for index, label in enumerate(labels)},
        finetuning_task="audio-classification",
        **CODE,
    )
    model = AutoModelForAudioClassification.from_pretrained(
        PRETRAINED, from_tf=False, config=config, ignore_mismatched_sizes=True, **CODE
    )
    return model, labels


def test_the_script_of_transformers_runs(voices, with_other_labels, tmp_path):
    """Its steps: freeze_feature_encoder, clips cut at random when they are read, no mask but that of the collator."""
    model, labels = with_other_labels
    extractor = AutoFeatureExtractor.from_pretrained(PRETRAINED, return_attention_mask=True, **CODE)
    name = extractor.model_input_names[0]

    def transform(batch: dict, longest: float) -> dict:
        waveforms = [soundfile.read(audio["path"], dtype="float32")[0] for audio in batch["audio"]]
        cut = [cut_at_random(waveform, round(longest * extractor.sampling_rate)) for waveform in waveforms]
        inputs = extractor(cut, sampling_rate=extractor.sampling_rate)
        return {name: inputs.get(name), "labels": list(batch["label"])}

    parts = {part: voices[part].with_transform(lambda batch: transform(batch, LONGEST)) for part in ("train", "test")}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.freeze_feature_encoder()
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=tmp_path,
            max_steps=3,
            per_device_train_batch_size=8,
            learning_rate=1e-3,
            remove_unused_columns=False,  # as its README has it
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=0,
        ),
        train_dataset=parts["train"],
        eval_dataset=parts["test"],
        compute_metrics=accuracy,
        processing_class=extractor,
    )
    result = trainer.train()
    trainer.save_model()
    trainer.save_metrics("train", result.metrics)
    trainer.save_state()
    assert 0 <= trainer.evaluate()["eval_accuracy"] <= 1
    trainer.create_model_card(finetuned_from=str(PRETRAINED), tasks="audio-classification", dataset="own")
    changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert changed == {name for name, _ in model.named_parameters() if ".convolutions." not in name}
    reloaded = AutoModelForAudioClassification.from_pretrained(tmp_path, **CODE)
    assert list(reloaded.config.id2label.values()) == labels


def cut_at_random(waveform: np.ndarray, longest: int) -> np.ndarray:
    """At most so many samples."""
    start = random.randint(0, max(0, len(waveform) - longest))
    return waveform[start : start + longest]


def test_only_the_heads_are_trained_on_a_frozen_encoder(with_other_labels):
    model, _ = with_other_labels
    model.freeze_base_model()
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, _ in model.named_parameters() if name.startswith("classifier.")}
