"""Checks of files by their content: against a manifest of SHA-256 sums, and for the same clip under two names."""

import csv
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path

from train.data.base import CorpusError, files_below


MANIFEST_COLUMNS = ("file", "sha256", "bytes")
PROBE = 4096  # bytes compared before two files of equal size are compared wholly


@dataclass(frozen=True)
class ChecksumReport:
    """Outcome of `verify_checksums`: names of the manifest by what became of them."""

    intact: tuple[str, ...]
    damaged: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        total = len(self.intact) + len(self.damaged) + len(self.missing)
        text = f"{len(self.intact):,} of {total:,} files intact, {len(self.missing):,} missing"
        return text + (f", {len(self.damaged):,} damaged: {', '.join(self.damaged)}" if self.damaged else "")


def verify_checksums(folder: str | os.PathLike, manifest: str | os.PathLike) -> ChecksumReport:
    """Compares every file of a manifest with the one of that name below a folder.

    Args:
        folder: folder of the corpus, searched recursively; of CREMA-D the one that holds AudioWAV.
        manifest: CSV file with the columns file (a name), sha256 (hexadecimal) and bytes.

    Raises:
        CorpusError: no such folder, or no such manifest.
    """
    folder, manifest = Path(folder), Path(manifest)
    if not folder.is_dir():
        raise CorpusError(f"{folder}: there is no such folder to verify.")
    found = {path.name: path for path in files_below(folder, ("",))}
    outcome: dict[str, list[str]] = {"intact": [], "damaged": [], "missing": []}
    for row in manifest_rows(manifest):
        outcome[compare(found.get(row["file"]), row)].append(row["file"])
    return ChecksumReport(**{key: tuple(names) for key, names in outcome.items()})


def compare(path: Path | None, row: dict[str, str]) -> str:
    """ "intact", "damaged" or "missing"; the content is read only where the size agrees."""
    if path is None:
        return "missing"
    intact = path.stat().st_size == int(row["bytes"]) and digest(str(path)) == row["sha256"].lower()
    return "intact" if intact else "damaged"


def manifest_rows(manifest: Path) -> list[dict[str, str]]:
    """Rows of a manifest."""
    if not manifest.is_file():
        raise CorpusError(f"{manifest}: there is no such manifest.")
    with open(manifest, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not set(MANIFEST_COLUMNS) <= set(reader.fieldnames or ()):
            raise CorpusError(f"{manifest}: columns {', '.join(MANIFEST_COLUMNS)} expected, got {reader.fieldnames}.")
        return list(reader)


def identical_files(paths: Iterable[str]) -> list[list[str]]:
    """Groups of files with the same content, in the order of the paths.

    Files of equal size are told apart by a few kilobytes of their middle; only those that agree are read wholly.
    """
    groups = [list(paths)]
    for key in (os.path.getsize, middle, digest):
        groups = [part for group in groups for part in grouped(group, key) if len(part) > 1]
    return groups


def grouped(paths: Iterable[str], key: Callable[[str], Hashable]) -> Iterable[list[str]]:
    """Paths with the same key together."""
    groups = defaultdict(list)
    for path in paths:
        groups[key(path)].append(path)
    return groups.values()


def middle(path: str) -> bytes:
    """A few kilobytes around the middle of a file, away from headers and from silence at both ends."""
    with open(path, "rb") as file:
        file.seek(os.path.getsize(path) // 2)
        return file.read(PROBE)


def digest(path: str) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
