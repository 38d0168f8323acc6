"""Download a corpus: fetch a copy, unpack its clips into the folder of the corpora, and check that none is missing.

Source > .downloads/NAME (resumed when cut) > NAME/ (only clips and tables) > count, and SHA-256 sums where known
"""

import logging
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from hashlib import file_digest
from pathlib import Path
from urllib.parse import unquote, urlsplit

from huggingface_hub import HfApi, hf_hub_url, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers

from train.data.base import Corpus, CorpusError, Source, plural
from train.data.checksums import verify_checksums
from train.data.loading import find_corpus, missing_speakers, read_folder
from train.data.network import as_corpus_errors
from train.data.registry import CORPORA, get_corpus
from train.data.unpacking import KEPT_SUFFIXES, READABLE_SUFFIXES, unpack


logger = logging.getLogger(__name__)

DOWNLOADS = ".downloads"  # folder for what is not unpacked yet; the search for corpora passes over hidden ones
MANIFEST = "manifest.csv"  # in the folder of a corpus: SHA-256 sums, as `verify_checksums` takes them
UNPACKED_SHARE = 2  # free space asked for, per byte to download: the archive and what is in it
RANGE_NOT_SATISFIABLE = 416


def download(
    name: str, corpora_root: Path, *, address: str | None = None, manifest: Path | None = None
) -> tuple[Path, int]:
    """
    Bring a corpus into `corpora_root / name`; nothing is fetched when it is complete already.

    Args:
        name: key of `CORPORA`.
        corpora_root: folder that holds the corpora; made if there is none.
        address: `hub:OWNER/NAME`, `kaggle:OWNER/NAME` or the URL of an archive; by default the corpus' first one.
        manifest: CSV of SHA-256 sums to check the files against; by default `manifest.csv` in the folder, if there
            is one.

    Returns:
        The folder of the corpus, and how many clips it has.

    Raises:
        CorpusError: an unknown corpus or source, a licence to be signed first, no network, no such repository or no
            access to it, a full disk, a damaged archive, too few clips, or files that differ from the manifest. What
            was fetched stays for the next try, except where it is wrong.
    """
    corpus = get_corpus(name)
    corpora_root = corpora_root.expanduser()
    if present := complete_copy(corpus, corpora_root):
        logger.info("%s is complete: %s in %s. Nothing to do.", corpus.title, plural(corpus.clips, "clip"), present)
        check_manifest(corpus, present, manifest)
        return present, corpus.clips
    source = choose_source(corpus, corpora_root, address)
    folder, staging = corpora_root / name, corpora_root / DOWNLOADS / name / re.sub(r"\W+", "-", source.address)
    logger.info("%s: downloading from %s (licence: %s)", corpus.title, source.address, corpus.licence)
    with as_corpus_errors(corpus.title, source.address):
        staging.mkdir(parents=True, exist_ok=True)
        written = unpack(fetch(source, staging), folder)
        clear(staging)
    logger.info("%s: %s unpacked into %s", corpus.title, plural(written, "file"), folder)
    clips = check_count(corpus, folder, source)
    check_manifest(corpus, folder, manifest)
    return folder, clips


def listing() -> str:
    """A line for each known corpus: name, title, language, clips, licence, and whether it can be downloaded."""
    lines = []
    for corpus in CORPORA.values():
        how = "downloads" if corpus.sources else "by its licence" if corpus.licence_steps else "put it there"
        clips = plural(corpus.clips, "clip") if corpus.clips else ""
        lines.append(f"{corpus.name:13}{corpus.title:13}{corpus.language:3}{clips:>12}  {how:15}{corpus.licence}")
    return "\n".join(lines)


def complete_copy(corpus: Corpus, corpora_root: Path) -> Path | None:
    """The folder of a corpus that has all its clips, or None."""
    try:
        folder, utterances = find_corpus(corpus, corpora_root)
    except CorpusError:
        return None
    return folder if len(utterances) == corpus.clips else None


def choose_source(corpus: Corpus, corpora_root: Path, address: str | None) -> Source:
    """The source of an address that somebody named, or the first that is known.

    Raises:
        CorpusError: a licence must be signed, or no source is known; the message says what to do.
    """
    if corpus.licence_steps:
        raise CorpusError(corpus.licence_steps.format(folder=corpora_root / corpus.name))
    known = {source.address: source for source in corpus.sources}
    if address is not None:
        return known.get(address, Source(address))
    if not known:
        raise CorpusError(
            f"{corpus.title}: no copy is known that can be downloaded by a program. It comes from {corpus.homepage}; "
            f"put its files into {corpora_root / corpus.name}, or name a copy: --from hub:OWNER/NAME."
        )
    return next(iter(known.values()))


def fetch(source: Source, staging: Path) -> Path:
    """Download a source; what an earlier try has brought is not fetched again.

    Args:
        source: where from.
        staging: folder that may be used for it.

    Returns:
        The folder that holds the files.

    Raises:
        CorpusError: the address is none of the accepted ones.
    """
    kind, _, place = source.address.partition(":")
    match kind:
        case "hub":
            return fetch_hub(place, staging)
        case "kaggle":
            return fetch_kaggle(place)
        case "http" | "https":
            return fetch_url(source, staging)
    raise CorpusError(
        f"{source.address!r} is no source; accepted are hub:OWNER/NAME (a dataset of the Hugging Face Hub), "
        f"kaggle:OWNER/NAME, and the URL of a zip or tar archive."
    )


def fetch_hub(repo_id: str, staging: Path) -> Path:
    """The clips, archives and Parquet files of a dataset on the Hugging Face Hub."""
    try:
        info = HfApi().dataset_info(repo_id, files_metadata=True)
    except HFValidationError as error:
        raise CorpusError(f"'hub:{repo_id}' is no dataset: give its owner and name, as hub:OWNER/NAME.") from error
    sizes = {file.rfilename: file.size or 0 for file in info.siblings}
    wanted = {name: size for name, size in sizes.items() if name.lower().endswith(READABLE_SUFFIXES)}
    if not wanted:
        found = ", ".join(sorted(sizes)) or "nothing"
        raise CorpusError(f"hub:{repo_id} has no clip, no archive and no Parquet file; it has {found}.")
    check_space(staging, sum(wanted.values()))
    folder = staging / info.sha  # a file that was cut goes on with the same version only
    archives = {name for name in wanted if not name.lower().endswith(KEPT_SUFFIXES)}
    for name in sorted(archives):
        url = hf_hub_url(repo_id, name, repo_type="dataset", revision=info.sha)
        fetch_file(url, folder / name, build_hf_headers())
    if archives != set(wanted):
        patterns = [f"*{suffix}" for suffix in KEPT_SUFFIXES]
        patterns += [pattern.upper() for pattern in patterns]
        snapshot_download(repo_id, repo_type="dataset", revision=info.sha, local_dir=folder, allow_patterns=patterns)
    return folder


def fetch_kaggle(handle: str) -> Path:
    """A dataset on Kaggle, through kagglehub, which keeps it in a cache of its own (KAGGLEHUB_CACHE)."""
    import kagglehub  # it sets up logging when imported
    from kagglehub.exceptions import CredentialError, DataCorruptionError, UnauthenticatedError

    try:
        return Path(kagglehub.dataset_download(handle))
    except ValueError as error:
        raise CorpusError(f"'kaggle:{handle}' is no dataset: give owner and name, as kaggle:OWNER/NAME.") from error
    except (CredentialError, DataCorruptionError, UnauthenticatedError) as error:
        raise CorpusError(f"kaggle:{handle} failed: {error} Run the same command again.") from error


def fetch_url(source: Source, staging: Path) -> Path:
    """An archive on a web server."""
    archive = staging / Path(unquote(urlsplit(source.address).path)).name
    if not archive.name.lower().endswith(READABLE_SUFFIXES):
        raise CorpusError(f"{source.address} is no archive by its name; accepted are {', '.join(READABLE_SUFFIXES)}.")
    fetch_file(source.address, archive)
    if source.md5 and md5(archive) != source.md5:
        archive.unlink()
        raise CorpusError(f"{source.address} came damaged or was changed: its MD5 is not {source.md5}. Try again.")
    return staging


def fetch_file(url: str, path: Path, headers: Mapping[str, str] | None = None) -> None:
    """Download a file, or what an earlier try has not brought of it.

    `snapshot_download` begins a file anew in every process, which is no way to get a large archive over a bad line.
    """
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        resume(url, unfinished, headers)
    except HfHubHTTPError as error:
        if error.response.status_code != RANGE_NOT_SATISFIABLE:
            raise
        unfinished.unlink()  # there is nothing beyond its end: it is no part of what the server has now
        resume(url, unfinished, headers)
    unfinished.rename(path)


def resume(url: str, path: Path, headers: Mapping[str, str] | None) -> None:
    """Download what a file lacks."""
    with open(path, "ab") as file:
        http_get(url, file, resume_size=file.tell(), headers=headers, displayed_filename=url.rpartition("/")[2])


def md5(path: Path) -> str:
    """MD5 of a file: what Zenodo states."""
    with open(path, "rb") as file:
        return file_digest(file, "md5").hexdigest()


def clear(staging: Path) -> None:
    """Remove a folder, and those above it that it leaves empty."""
    shutil.rmtree(staging)
    with suppress(OSError):
        os.removedirs(staging.parent)


def check_space(folder: Path, size: int) -> None:
    """Raise CorpusError if a download of so many bytes, and what comes out of it, does not fit."""
    free, needed = shutil.disk_usage(folder).free, UNPACKED_SHARE * size
    if free < needed:
        raise CorpusError(
            f"{folder}: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free. Make room first."
        )


def check_count(corpus: Corpus, folder: Path, source: Source) -> int:
    """Number of clips; a CorpusError if it is not that of the complete corpus."""
    utterances = read_folder(corpus, folder) if folder.is_dir() else []
    if len(utterances) == corpus.clips:
        return corpus.clips
    missing = missing_speakers(corpus, {utterance.speaker for utterance in utterances})
    others = [other.address for other in corpus.sources if other.address != source.address]
    advice = f" Try another source: --from {' or --from '.join(others)}." if others else ""
    raise CorpusError(
        f"{corpus.title}: {source.address} brought {len(utterances):,} of {plural(corpus.clips, 'clip')}, named like "
        f"{corpus.example}; {missing}. They are in {folder}.{advice}"
    )


def check_manifest(corpus: Corpus, folder: Path, manifest: Path | None) -> None:
    """Compare the files with their SHA-256 sums, where there is a manifest of them."""
    if manifest is None and (folder / MANIFEST).is_file():
        manifest = folder / MANIFEST
    if manifest is None:
        return
    report = verify_checksums(folder, manifest)
    logger.info("%s: SHA-256 of %s", corpus.title, report)
    if report.damaged:
        raise CorpusError(f"{corpus.title}: {report}. Delete these files and download again.")
