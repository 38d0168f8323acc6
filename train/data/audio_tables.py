"""General corpora in Parquet files with a column of audio and one of labels, on the Hub or in a folder.

`hub:OWNER/NAME` (also `hub:OWNER/NAME:CONFIG`, `hub:OWNER/NAME@REVISION`) and `parquet:PATH`. Rows are read as a
stream: to train on at once (streaming.py), or to be stored as files, a corpus like the others (stored_clips.py).

Address > OpenTable (columns by convention) > rows: fields of an Utterance, and the bytes of a clip
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets import Audio, ClassLabel, Features, IterableDataset, Value, load_dataset, load_dataset_builder
from datasets.data_files import EmptyDatasetError
from datasets.exceptions import DatasetsError
from datasets.fingerprint import Hasher
from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError

from train.data.base import CorpusError, Utterance, files_below
from train.data.folders import corpus_name
from train.data.network import as_corpus_errors
from train.data.tables import check_label, utterance


# Names of a column, in any case of letters; the first that a table has is taken.
COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "audio": ("audio",),
    "label": ("emotion", "label"),
    "speaker": ("speaker", "speaker_id"),
    "sex": ("sex", "gender"),
    "sentence": ("sentence", "text"),
    "language": ("language",),
}
REQUIRED = ("audio", "label")

UTTERANCE_FEATURES = Features({name: Value("string") for name in Utterance.__dataclass_fields__})
ROW_FEATURES = Features(UTTERANCE_FEATURES | {"audio": Value("binary")})

HUB_ADDRESS = re.compile(r"(?P<place>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^:@]+))?(?::(?P<config>[\w.-]+))?")


@dataclass(frozen=True)
class Address:
    """Where a table lies.

    Attributes:
        name: as it was given, "hub:..." or "parquet:...".
        place: OWNER/NAME on the Hub, or an absolute path.
        config: of the dataset on the Hub, or None for its only or default one.
        revision: branch, tag or commit on the Hub, or None for the main branch.
    """

    name: str
    place: str
    config: str | None = None
    revision: str | None = None

    @property
    def is_remote(self) -> bool:
        """True if it lies on the Hub."""
        return self.name.startswith("hub:")

    @property
    def corpus(self) -> str:
        """Name of the corpus: unique, without a hyphen."""
        place = self.place if self.is_remote else Path(self.place).stem
        return corpus_name(f"{place} {self.config or ''}")


def parse_address(name: str, corpora_root: Path) -> Address | None:
    """Address of `hub:OWNER/NAME[@REVISION][:CONFIG]` or `parquet:PATH`, or None where the name is neither.

    A relative path is looked for in the working directory, then below the root of the corpora.

    Raises:
        CorpusError: what follows `hub:` is no dataset, or there is no such file or folder.
    """
    kind, _, place = name.partition(":")
    if kind == "hub":
        match = HUB_ADDRESS.fullmatch(place)
        if match is None:
            raise CorpusError(f"{name!r} is no dataset; expected is hub:OWNER/NAME, or hub:OWNER/NAME:CONFIG.")
        return Address(name, match["place"], match["config"], match["revision"])
    if kind == "parquet" and place:
        path = Path(place).expanduser()
        path = Path(os.path.abspath(path if path.exists() else corpora_root / path))
        if not path.exists():
            raise CorpusError(f"{name}: there is no such file or folder. It should hold .parquet files.")
        return Address(name, str(path))
    return None


@dataclass(frozen=True)
class OpenTable:
    """Parquet files and what is in them.

    Attributes:
        address: where they lie.
        files: paths, or addresses that pin a commit of the Hub.
        features: columns of the files.
        columns: role, a key of `COLUMN_NAMES` -> column.
    """

    address: Address
    files: tuple[str, ...]
    features: Features
    columns: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """A name for this version of the files."""
        states = [] if self.address.is_remote else [os.stat(name) for name in self.files]
        return Hasher.hash((self.files, [(state.st_size, state.st_mtime_ns) for state in states]))

    def rows(self) -> IterableDataset:
        """
        A stream of rows: the fields of `Utterance`, `path` being the clip's name in the table, and `audio`, its bytes.

        Rows without a label or without a clip are left out; the text "NaN" for a label raises a CorpusError.
        """
        stream = self._stream(self.columns.values())
        if isinstance(self.features[self.columns["audio"]], Audio):
            stream = stream.cast_column(self.columns["audio"], Audio(decode=False))
        return self._read(stream, ROW_FEATURES, with_audio=True).filter(is_complete)

    def rows_without_sound(self) -> IterableDataset:
        """The same without `audio`: the sound is not read either."""
        stream = self._stream(name for role, name in self.columns.items() if role != "audio")
        return self._read(stream, UTTERANCE_FEATURES, with_audio=False).filter(has_label)

    def _read(self, stream: IterableDataset, features: Features, *, with_audio: bool) -> IterableDataset:
        kept = {"with_audio": with_audio}
        return stream.map(RowReader(self), remove_columns=stream.column_names, features=features, fn_kwargs=kept)

    def _stream(self, columns: Iterable[str]) -> IterableDataset:
        names = list(columns)
        features = Features({name: self.features[name] for name in names})
        return open_parquet(self.files, features=features, columns=names)


class RowReader:
    """From a row of a table to the fields of an utterance, and its clip.

    Args:
        table: whose rows are read.
    """

    def __init__(self, table: OpenTable):
        self.columns = table.columns
        self.names = {
            role: table.features[column].names
            for role, column in table.columns.items()
            if isinstance(table.features[column], ClassLabel)
        }
        self.address = table.address

    def __call__(self, row: dict[str, Any], *, with_audio: bool) -> dict[str, Any]:
        values = {role: self.text(role, row) for role in COLUMN_NAMES if role != "audio"}
        check_label(values["label"], self.address.name)
        clip = row[self.columns["audio"]] if with_audio else None
        content, name = (clip, None) if isinstance(clip, bytes | None) else (clip["bytes"], clip["path"])
        fields = asdict(utterance(Path(name or ""), values | {"intensity": ""}, self.address.corpus))
        return fields | ({"audio": content} if with_audio else {})

    def text(self, role: str, row: dict[str, Any]) -> str:
        """Value of a column as text, "" where there is none."""
        value = row.get(self.columns.get(role))
        if role in self.names:
            return self.names[role][value] if value is not None and value >= 0 else ""
        return "" if value is None else str(value).strip()


def has_label(row: dict[str, Any]) -> bool:
    """True if a row says which emotion it is."""
    return bool(row["label"])


def is_complete(row: dict[str, Any]) -> bool:
    """True if a row has a label and a clip."""
    return bool(row["label"]) and bool(row["audio"])


def open_table(address: Address) -> OpenTable:
    """
    Look at a table without reading its rows.

    Raises:
        CorpusError: no network, no such dataset, no access to it, no Parquet files, no column of audio or of labels.
    """
    with as_corpus_errors(address.corpus, address.name):
        files, features = remote_files(address) if address.is_remote else local_files(address)
        features = features or open_parquet(files).features
    return OpenTable(address, files, features, find_columns(features, address.name))


def open_parquet(files: tuple[str, ...], **settings: object) -> IterableDataset:
    """Stream of the rows of some Parquet files, one shard for each."""
    return load_dataset("parquet", data_files=list(files), split="train", streaming=True, **settings)


def local_files(address: Address) -> tuple[tuple[str, ...], None]:
    """Parquet files of a folder, or the one that the address names; their features are in them."""
    path = Path(address.place)
    files = [path] if path.is_file() else files_below(path, (".parquet",))
    if not files:
        raise CorpusError(f"{address.name}: there is no .parquet file in {path}.")
    return tuple(map(str, files)), None


def remote_files(address: Address) -> tuple[tuple[str, ...], Features | None]:
    """Parquet files of all splits of a dataset on the Hub, and its features where its card tells them."""
    try:
        revision = HfApi().dataset_info(address.place, revision=address.revision).sha
        builder = load_dataset_builder(address.place, address.config, revision=revision)
    except HFValidationError as error:
        raise CorpusError(f"{address.name!r} is no dataset of the Hub: {error}") from error
    except (DatasetsError, EmptyDatasetError, ValueError, RuntimeError) as error:
        raise CorpusError(f"{address.name}: {str(error).splitlines()[0]}") from error
    files = [file for split in (builder.config.data_files or {}).values() for file in split]
    if not files or not all(file.endswith(".parquet") for file in files):
        raise CorpusError(
            f"{address.name} has no Parquet files. If the Hub shows its rows, it has made some: "
            f"hub:{address.place}@refs/convert/parquet. A folder with clips can be trained from as folder:PATH."
        )
    return tuple(files), builder.info.features


def find_columns(features: Features, name: str) -> dict[str, str]:
    """
    Which column has which role, by its name.

    Raises:
        CorpusError: no column of audio or of labels, or labels that are numbers without names.
    """
    by_lower_name = {column.lower(): column for column in features}
    columns = {
        role: next((by_lower_name[known] for known in names if known in by_lower_name), None)
        for role, names in COLUMN_NAMES.items()
    }
    present = ", ".join(f"{column} ({describe(kind)})" for column, kind in features.items())
    for role in REQUIRED:
        if columns[role] is None:
            wanted = " or ".join(map(repr, COLUMN_NAMES[role]))
            raise CorpusError(f"{name}: no column is named {wanted}. Its columns are {present}.")
    if not is_sound(features[columns["audio"]]):
        raise CorpusError(
            f"{name}: the column {columns['audio']!r} holds no files of sound. Its columns are {present}."
        )
    label = features[columns["label"]]
    if not isinstance(label, ClassLabel) and describe(label) not in ("string", "large_string"):
        raise CorpusError(f"{name}: the labels in {columns['label']!r} have no names. Its columns are {present}.")
    return {role: column for role, column in columns.items() if column is not None}


def is_sound(kind: object) -> bool:
    """True if a column of this kind can hold the bytes of clips."""
    return isinstance(kind, Audio) or describe(kind) == "binary" or (isinstance(kind, dict) and "bytes" in kind)


def describe(kind: object) -> str:
    """Kind of a column, for messages."""
    return kind.dtype if isinstance(kind, Value) else type(kind).__name__
