"""From a downloaded folder with files and archives to the clips of a corpus, and nothing but clips and tables.

Archives come from strangers: members that point out of their folder, links and oversized members are refused or left
alone, and nothing but sound and CSV tables is written.
"""

import functools
import io
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pyarrow.parquet
from tqdm.auto import tqdm

from train.data.base import CORPUS_SUFFIXES, CorpusError, files_below, plural


ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
TABLE_SUFFIXES = (".csv",)
KEPT_SUFFIXES = (*CORPUS_SUFFIXES, *TABLE_SUFFIXES)
READABLE_SUFFIXES = (*KEPT_SUFFIXES, *ARCHIVE_SUFFIXES, ".parquet")

LARGEST_MEMBER = 200 * 10**6  # bytes; the longest clip of the known corpora has 2 million
LARGEST_CORPUS = 50 * 10**9  # bytes in all
PARQUET_ROWS = 64  # clips in memory at a time

# Errors that reading a damaged archive raises; zipfile gives a RuntimeError for an encrypted one.
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    EOFError,
    pyarrow.ArrowInvalid,
    RuntimeError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Member:
    """One file in a folder or an archive.

    Attributes:
        name: path as the folder or archive has it, with forward slashes.
        size: in bytes.
        open: opens it for reading.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]


def unpack(folder: Path, destination: Path) -> int:
    """
    Write all clips and tables of a folder, those in its archives and Parquet files included, below another folder.

    A file keeps its name and the folder that it lies in directly (`Actor_01/03-01-01-01-01-01-01.wav`); the same clip
    in two trees of an archive is written once. What is there already in the right size is left alone, and no file is
    ever there in part, so that a run that was cut can be repeated.

    Args:
        folder: what was downloaded.
        destination: folder of the corpus; made if there is none.

    Returns:
        Number of files written.

    Raises:
        CorpusError: a damaged, encrypted or oversized archive, or a member that points out of its folder.
    """
    writer = Writer(destination)
    with tqdm(desc="Unpacking", unit=" files") as progress:
        for path in files_below(folder, READABLE_SUFFIXES):
            try:
                for member in members(path, folder):
                    writer.write(member, path.name)
                    progress.update()
            except UNREADABLE as error:
                raise CorpusError(
                    f"{path} is damaged, encrypted or no such archive ({error}). Delete it to download it again."
                ) from error
    return writer.written


class Writer:
    """Writes members below a folder, each clip once, and keeps count.

    Attributes:
        written: files written; those that were there already do not count.
    """

    def __init__(self, destination: Path):
        self.destination = destination
        self.written = 0
        self._places: set[str] = set()
        self._bytes = 0

    def write(self, member: Member, archive: str) -> None:
        """Write a member if it is a clip or a table, whole or not at all."""
        place = safe_place(member.name, archive)
        if place.lower() in self._places or not place.lower().endswith(KEPT_SUFFIXES):
            return
        self._places.add(place.lower())
        self._bytes += member.size
        check_size(member, self._bytes, archive)
        path = self.destination / place
        if path.is_file() and path.stat().st_size == member.size:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.unfinished")
        with member.open() as source, open(unfinished, "wb") as target:
            shutil.copyfileobj(source, target)
        os.replace(unfinished, path)
        self.written += 1


def members(path: Path, folder: Path) -> Iterator[Member]:
    """Members of a file if it is an archive or a Parquet file, else the file itself."""
    name = path.name.lower()
    if name.endswith(".zip"):
        yield from zip_members(path)
    elif name.endswith(ARCHIVE_SUFFIXES):
        yield from tar_members(path)
    elif name.endswith(".parquet"):
        yield from parquet_members(path)
    else:
        yield Member(path.relative_to(folder).as_posix(), path.stat().st_size, functools.partial(open, path, "rb"))


def zip_members(path: Path) -> Iterator[Member]:
    """Files in a zip archive."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if not entry.is_dir():
                yield Member(entry.filename, entry.file_size, functools.partial(archive.open, entry))


def tar_members(path: Path) -> Iterator[Member]:
    """Regular files in a tar archive, compressed or not; links and devices are passed over."""
    with tarfile.open(path) as archive:
        for entry in archive:
            if entry.isfile():
                yield Member(entry.name, entry.size, functools.partial(archive.extractfile, entry))


def parquet_members(path: Path) -> Iterator[Member]:
    """Clips in a Parquet file: the columns in which the `datasets` library keeps the bytes and the name of a file."""
    with pyarrow.parquet.ParquetFile(path) as file:
        columns = [field.name for field in file.schema_arrow if is_audio(field.type)]
        for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=columns):
            for row in batch.to_pylist():
                for clip in row.values():
                    if clip and clip["bytes"] and clip["path"]:
                        name = PurePosixPath(clip["path"]).name
                        yield Member(name, len(clip["bytes"]), functools.partial(io.BytesIO, clip["bytes"]))


def is_audio(kind: pyarrow.DataType) -> bool:
    """True if a column of this type holds files as `datasets` stores them: bytes and path."""
    return pyarrow.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}


def safe_place(name: str, archive: str) -> str:
    """Where a member belongs: its name below the folder that it lies in directly.

    Raises:
        CorpusError: the name is absolute, has a drive, or climbs out of the archive.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or any(":" in part or "\0" in part for part in path.parts):
        raise CorpusError(f"{archive}: the member {name!r} points out of the archive. Nothing more of it is read.")
    return "/".join(path.parts[-2:])


def check_size(member: Member, total: int, archive: str) -> None:
    """Raise for a member or a corpus that is larger than any corpus of speech."""
    if member.size > LARGEST_MEMBER:
        raise CorpusError(
            f"{archive}: {member.name!r} has {plural(member.size, 'byte')}; at most {LARGEST_MEMBER:,} are accepted."
        )
    if total > LARGEST_CORPUS:
        raise CorpusError(f"{archive}: more than {LARGEST_CORPUS:,} bytes of clips; this is no corpus of speech.")
