"""Clips of a table with audio as files in the cache of `datasets`, so that it is a corpus like the others."""

import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import datasets
from tqdm.auto import tqdm

from ser_model.decoding import AUDIO_SUFFIXES
from train.data.audio_tables import Address, OpenTable, open_table
from train.data.base import Corpus, files_below
from train.data.network import NoConnectionError, as_corpus_errors
from train.data.tables import read


logger = logging.getLogger(__name__)

CACHE = "speech_emotion_clips"  # in the cache of `datasets`
LATEST = "latest.json"  # names the version that was stored last, for those who are offline
LONGEST_STEM = 60  # letters that a file keeps of its name in the table
KEPT = ("label", "sex", "language", "sentence")  # fields in a list of clips, beside path and speaker


def audio_table_corpus(address: Address) -> tuple[Corpus, Path]:
    """The table as a corpus whose clips are files, and the folder that they are in; they are fetched when it is read.

    Raises:
        CorpusError: as [`open_table`].
    """
    folder = stored_version(address)
    corpus = Corpus(
        name=address.corpus,
        title=address.name,
        language="unknown",
        licence="unknown",
        homepage=f"https://huggingface.co/datasets/{address.place}" if address.is_remote else "",
        labels={},
        speakers={},
        clips=None,
        example="a row with columns audio, label and speaker",
        read=lambda place: (
            utterance for table in files_below(place, (".jsonl",)) for utterance in read(table, address.corpus)
        ),
    )
    return corpus, folder


def stored_version(address: Address) -> Path:
    """Folder with the clips of a table, fetched if need be; while it is out of reach, those of the last time."""
    latest = cache_folder(address) / LATEST
    try:
        table = open_table(address)
    except NoConnectionError:
        if not latest.is_file():
            raise
        folder = latest.parent / json.loads(latest.read_text())["version"]
        logger.warning("%s cannot be reached; the version of the last time is used, from %s", address.name, folder)
        return folder
    folder = latest.parent / table.fingerprint
    with as_corpus_errors(address.corpus, address.name):
        store_clips(table, folder)
    write_whole(latest, json.dumps({"version": folder.name, "name": address.name}).encode())
    return folder


def cache_folder(address: Address) -> Path:
    """Where the clips of all versions of a table are stored."""
    return Path(datasets.config.HF_DATASETS_CACHE, CACHE, address.corpus)


def store_clips(table: OpenTable, folder: Path) -> None:
    """Write the clips of a table to files, with a list of them for each shard; what is listed is not read again."""
    rows = table.rows()
    count = rows.num_shards
    stores = {index: ClipStore(folder, f"{index:05d}-of-{count:05d}") for index in range(count)}
    missing = {index: store for index, store in stores.items() if not store.is_finished}
    with tqdm(desc=f"Fetching {table.address.name}", unit=" clips", disable=not missing) as progress:
        for index, store in missing.items():
            for row in rows.shard(num_shards=count, index=index):
                store.add(row)
                progress.update()
            store.finish()


class ClipStore:
    """Writes rows with audio as files, and at the end a list of them, a table that `table:PATH` could be trained from.

    Args:
        folder: of the list, `NAME.jsonl`, and of a folder `NAME` with the clips.
        name: of the list.
    """

    def __init__(self, folder: Path, name: str):
        self.list = folder / f"{name}.jsonl"
        self.clips = folder / name
        self.rows: list[dict[str, str]] = []

    @property
    def is_finished(self) -> bool:
        """True if all was written before."""
        return self.list.is_file()

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a clip."""
        name = PurePosixPath(row["path"])
        suffix = name.suffix.lower() if name.suffix.lower() in AUDIO_SUFFIXES else ".audio"
        stem = re.sub(r"[^\w.-]+", "_", name.stem)[:LONGEST_STEM]
        path = self.clips / f"{len(self.rows):06d}_{stem}{suffix}"
        write_whole(path, row["audio"])
        speaker = row["speaker"].partition("-")[2]
        place = f"{self.clips.name}/{path.name}"
        self.rows.append({"path": place, "speaker": speaker} | {name: row[name] for name in KEPT})

    def finish(self) -> None:
        """Write the list."""
        write_whole(self.list, "".join(json.dumps(row) + "\n" for row in self.rows).encode())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)
