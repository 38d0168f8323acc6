"""Parquet shards with the clips of a generated corpus, as `datasets` writes them, for tests of tables with audio."""

from pathlib import Path

from datasets import Audio, ClassLabel, Dataset, Features, Value
from huggingface_hub import HfApi

from tests.train.generated_corpora import make_corpus
from train.data import load_corpus


EMOTIONS = ["anger", "calm", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
FEATURES = Features(
    {
        "audio": Audio(decode=False),
        "emotion": ClassLabel(names=EMOTIONS),
        "speaker_id": Value("int64"),
        "gender": Value("string"),
        "text": Value("string"),
    }
)


def make_table(root: Path, *, speakers: int = 6, clips_per_label: int = 2, duration_s: float = 0.3) -> Dataset:
    """RAVDESS' generated clips as a table with the columns audio, emotion, speaker_id, gender and text, shuffled."""
    make_corpus("ravdess", root, speakers=speakers, clips_per_label=clips_per_label, duration_s=duration_s)
    corpus = load_corpus("ravdess", root).shuffle(seed=0)
    rows = {
        "audio": [{"bytes": Path(path).read_bytes(), "path": Path(path).name} for path in corpus["path"]],
        "emotion": corpus["label"][:],  # both in the order of their common names
        "speaker_id": [int(speaker.rpartition("-")[2]) for speaker in corpus["speaker"]],
        "gender": corpus["sex"][:],
        "text": [f"sentence {code}" for code in corpus["sentence"]],
    }
    return Dataset.from_dict(rows).cast(FEATURES)


def write_shards(table: Dataset, folder: Path, shards: int = 3) -> Path:
    """Write a table as Parquet files into a folder."""
    folder.mkdir(parents=True)
    for index in range(shards):
        table.shard(shards, index).to_parquet(folder / f"train-{index:05d}-of-{shards:05d}.parquet", batch_size=20)
    return folder


def push_table(api: HfApi, table: Dataset, repo_id: str, folder: Path, shards: int = 3, **settings: object) -> None:
    """Upload a table as Parquet files to the Hub."""
    api.create_repo(repo_id, repo_type="dataset", **settings)
    write_shards(table, folder / "data", shards)
    api.upload_folder(repo_id=repo_id, repo_type="dataset", folder_path=folder)
