"""Fine-tuning by others, the way of transformers' run_audio_classification: a data set of their own with the columns
audio and label, our extractor in `map`, the plain Trainer, other labels."""

from pathlib import Path

import datasets
import numpy as np
import pytest
import soundfile
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, Trainer, TrainingArguments

from ser_model.recognizer import PRETRAINED
from train.augment.voice import RATE, speech_like


PITCHES = {"bass": 85.0, "tenor": 150.0, "soprano": 260.0}  # Hz
CLIPS = {"train": 24, "test": 10}  # of each label
SPREAD = 0.1  # of the pitch
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
