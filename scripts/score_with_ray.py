"""Score a folder or bucket of recordings, or Parquet shards of a data set, into Parquet by all machines of a cluster.
    python -m scripts.score_with_ray s3://bucket/calls s3://bucket/scores
    python -m scripts.score_with_ray hf://datasets/OWNER/NAME/data scores --audio-column audio

A machine that ends loses no row; a run that ends goes on when it is started again. See docs/deploy.md.
"""

import argparse

import pyarrow
from ray import data
from ray.data.checkpoint import CheckpointConfig

from ser_model.archive import JOURNAL_SUFFIX, as_table, row_of
from ser_model.decoding import AUDIO_SUFFIXES
from ser_model.recognizer import EmotionRecognizer


class RayScorer:
    """Scores tables of recordings, in a process of its own that holds the model."""

    def __init__(self, model: str | None, column: str | None):
        self.recognizer, self.column = EmotionRecognizer.from_pretrained(model, num_threads=1), column

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        """An archive's table, a row for each of the batch; other columns of a shard stay, as dataset_COLUMN."""
        sounds = (batch[self.column] if self.column else batch).to_pylist()  # each with its bytes and its path
        answers = self.recognizer.predict_batch([sound["bytes"] for sound in sounds], return_errors=True)
        rows = [row_of(sound["path"], answer) for sound, answer in zip(sounds, answers, strict=True)]
        table = as_table(rows, self.recognizer.labels)
        for name in (name for name in batch.column_names if self.column not in (None, name)):
            table = table.append_column(name if name == "row_hash" else f"dataset_{name}", batch[name])
        return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="folder or address of recordings, or of shards")
    parser.add_argument("output", help="folder or address for the Parquet files")
    parser.add_argument("--audio-column", help="the source is Parquet shards with this column")
    parser.add_argument("--model", help="folder, or id on the Hub; default: the one that comes along")
    options = parser.parse_args()
    key, context = "row_hash" if options.audio_column else "path", data.DataContext.get_current()
    context.checkpoint_config = CheckpointConfig(key, options.output.rstrip("/") + JOURNAL_SUFFIX)
    if options.audio_column:  # what is read keeps the context as it is now
        recordings = data.read_parquet(options.source, include_row_hash=True)
    else:
        suffixes = [suffix[1:] for suffix in AUDIO_SUFFIXES]
        recordings = data.read_binary_files(options.source, include_paths=True, file_extensions=suffixes)
    arguments = {"fn_constructor_args": (options.model, options.audio_column), "batch_format": "pyarrow"}
    scores = recordings.map_batches(RayScorer, batch_size=64, compute=data.ActorPoolStrategy(), **arguments)
    scores.write_parquet(options.output)


if __name__ == "__main__":
    main()
