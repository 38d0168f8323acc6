# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Downloading corpora from a Hub, from Kaggle and from a web server on loopback: whole, cut, damaged, malicious."""

import csv
import errno
import functools
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import kagglehub.clients
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import CommitOperationAdd, HfApi, constants
from tqdm import tqdm

from tests.hub_server import HubServer, client_waits, hub_client, hub_server
from tests.kaggle_server import KaggleServer, kaggle_server
from tests.train.generated_corpora import NAMES
from train.__main__ import main
from train.data import CORPORA, CorpusError, load_corpus, registry, unpacking
from train.data import download as download_module
from train.data.base import Source
from train.data.download import download
from train.data.unpacking import unpack


REPO_ID = "tester/emodb"
ADDRESS = f"hub:{REPO_ID}"
CLIP_BYTES = 4000
CLIPS = 14  # one for each emotion of two speakers


@pytest.fixture(autouse=True)
def small_emodb(monkeypatch: pytest.MonkeyPatch) -> None:
    """EmoDB with fewer clips, so that a complete copy is small."""
    monkeypatch.setitem(registry.CORPORA, "emodb", replace(CORPORA["emodb"], clips=CLIPS))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads are written at once, not by megabytes, so that a small file can be cut in the middle."""
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr(kagglehub.clients, "CHUNK_SIZE", 1000)


def emodb_files(count: int = CLIPS) -> dict[str, bytes]:
    """Clips with official names; the content is none that could be decoded, which a download does not do."""
    names = [next(NAMES["emodb"](speaker, code)) for speaker in ("03", "08") for code in CORPORA["emodb"].labels]
    return {name: hashlib.sha256(name.encode()).digest() * (CLIP_BYTES // 32) for name in names[:count]}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def parquet(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    clips = [{"bytes": data, "path": Path(name).name} for name, data in files.items()]
    pq.write_table(pa.table({"audio": clips, "emotion": ["joy"] * len(clips)}), content)
    return content.getvalue()


def publish(api: HfApi, files: dict[str, bytes], repo_id: str = REPO_ID, **settings: object) -> None:
    """Make a dataset of these files on the Hub."""
    api.create_repo(repo_id, repo_type="dataset", **settings)
    operations = [CommitOperationAdd(name, data) for name, data in files.items()]
    api.create_commit(repo_id, operations, commit_message="Upload", repo_type="dataset")


def names_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "pack"), [("data/emodb.zip", zipped), ("data/emodb.tar.gz", tarred), ("data/train.parquet", parquet)]
)
def test_from_an_archive_on_the_hub(hub_client, tmp_path, name, pack):
    files = emodb_files()
    publish(hub_client, {name: pack(files), "README.md": b"a corpus"})
    folder, clips = download("emodb", tmp_path / "corpora", address=ADDRESS)
    assert clips == CLIPS
    assert folder == tmp_path / "corpora" / "emodb"
    written = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert written == {Path(name).name: data for name, data in files.items()}
    assert len(load_corpus("emodb", tmp_path / "corpora")) == CLIPS
    assert not (tmp_path / "corpora" / download_module.DOWNLOADS).exists()


def test_a_progress_bar_is_shown(hub_client, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(unpacking, "tqdm", functools.partial(tqdm, disable=False))
    publish(hub_client, {"emodb.zip": zipped(emodb_files())})
    download("emodb", tmp_path, address=ADDRESS)
    assert f"Unpacking: {CLIPS} files" in capsys.readouterr().err


def test_single_files_keep_their_folder_and_other_files_stay_away(hub_client, hub_server, tmp_path):
    others = {"speakers.csv": b"speaker,age\n", "model.py": b"print()", "video/03a01Fa.mp4": b"\0" * 10}
    publish(hub_client, emodb_files() | others)
    folder, _ = download("emodb", tmp_path, address=ADDRESS)
    assert names_below(folder) == sorted([*emodb_files(), "speakers.csv"])
    assert not hub_server.requests_to("*.mp4")


def test_a_complete_corpus_is_not_fetched_again(hub_client, hub_server, tmp_path, caplog):
    publish(hub_client, {"emodb.zip": zipped(emodb_files())})
    download("emodb", tmp_path, address=ADDRESS)
    before = len(hub_server.requests)
    with caplog.at_level("INFO"):
        folder, clips = download("emodb", tmp_path, address=ADDRESS)
    assert (folder, clips) == (tmp_path / "emodb", CLIPS)
    assert f"EmoDB is complete: {CLIPS} clips in {folder}. Nothing to do." in caplog.text
    assert len(hub_server.requests) == before


def test_a_corpus_under_another_name_counts(tmp_path):
    for name, data in emodb_files().items():
        path = tmp_path / "EMO-DB" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert download("emodb", tmp_path) == (tmp_path / "EMO-DB", CLIPS)


@pytest.mark.parametrize("kind", ["hub", "url"])
def test_a_cut_download_goes_on_where_it_stopped(hub_client, hub_server, client_waits, small_chunks, tmp_path, kind):
    archive = zipped(emodb_files())
    publish(hub_client, {"emodb.zip": archive})
    address = ADDRESS if kind == "hub" else f"{hub_server.endpoint}/datasets/{REPO_ID}/resolve/main/emodb.zip"
    hub_server.fail_next("*/emodb.zip", after_bytes=20_000, method="GET")
    hub_server.fail_next("*/emodb.zip", status=503, method="GET")  # the client's own next try
    with pytest.raises(CorpusError, match=r"answered 503 .* goes on where it stopped"):
        download("emodb", tmp_path, address=address)
    assert not (tmp_path / "emodb").exists()
    folder, _ = download("emodb", tmp_path, address=address)
    assert names_below(folder) == sorted(emodb_files())
    last = hub_server.requests_to("*/emodb.zip", method="GET")[-1]
    assert (last.status, last.headers["range"]) == (206, "bytes=20000-")


def test_files_that_have_come_are_not_fetched_again(hub_client, hub_server, client_waits, tmp_path):
    publish(hub_client, emodb_files())
    hub_server.fail_next("*/resolve/*/wav/08*T*", status=500, method="GET")
    with pytest.raises(CorpusError, match="answered 500"):
        download("emodb", tmp_path, address=ADDRESS)
    download("emodb", tmp_path, address=ADDRESS)
    fetched = [request.path for request in hub_server.requests_to("*/resolve/*.wav", "GET") if request.status == 200]
    assert len(fetched) == len(set(fetched)) == CLIPS


def test_a_wrong_checksum_is_an_error_and_the_archive_is_not_kept(hub_client, hub_server, tmp_path, monkeypatch):
    archive = zipped(emodb_files())
    publish(hub_client, {"emodb.zip": archive})
    url = f"{hub_server.endpoint}/datasets/{REPO_ID}/resolve/main/emodb.zip"
    monkeypatch.setitem(CORPORA, "emodb", replace(CORPORA["emodb"], sources=(Source(url, md5="0" * 32),)))
    with pytest.raises(CorpusError, match="came damaged or was changed: its MD5 is not 000"):
        download("emodb", tmp_path)
    assert not list((tmp_path / download_module.DOWNLOADS).rglob("*.zip"))
    monkeypatch.setitem(
        CORPORA, "emodb", replace(CORPORA["emodb"], sources=(Source(url, md5=hashlib.md5(archive).hexdigest()),))
    )
    assert download("emodb", tmp_path)[1] == CLIPS


def test_an_archive_that_shrank_on_the_server_is_fetched_anew(hub_client, hub_server, tmp_path):
    publish(hub_client, {"emodb.zip": zipped(emodb_files())})
    url = f"{hub_server.endpoint}/datasets/{REPO_ID}/resolve/main/emodb.zip"
    hub_server.fail_next("*/emodb.zip", status=500, method="GET")
    with pytest.raises(CorpusError, match="answered 500"):
        download("emodb", tmp_path, address=url)
    (unfinished,) = (tmp_path / download_module.DOWNLOADS).rglob(".emodb.zip.unfinished")
    unfinished.write_bytes(bytes(10**6))
    assert download("emodb", tmp_path, address=url)[1] == CLIPS


def test_from_kaggle_cut_and_resumed(kaggle_server, small_chunks, tmp_path):
    kaggle_server.archive = zipped(emodb_files())
    kaggle_server.cut_after = 30_000
    with pytest.raises(
        CorpusError, match=r"the connection to kaggle:owner/corpus failed .* run the same command again"
    ):
        download("emodb", tmp_path, address="kaggle:owner/corpus")
    folder, _ = download("emodb", tmp_path, address="kaggle:owner/corpus")
    assert names_below(folder) == sorted(emodb_files())
    assert kaggle_server.ranges[-1] == "bytes=30000-"


def test_kaggle_without_this_dataset(kaggle_server, tmp_path):
    with pytest.raises(CorpusError, match=r"there is no kaggle:owner/other, or it is private .* KAGGLE_API_TOKEN"):
        download("emodb", tmp_path, address="kaggle:owner/other")
    with pytest.raises(CorpusError, match="give owner and name, as kaggle:OWNER/NAME"):
        download("emodb", tmp_path, address="kaggle:corpus")


def test_too_few_clips(hub_client, tmp_path, monkeypatch):
    publish(hub_client, {"emodb.zip": zipped(emodb_files(CLIPS // 2))})
    monkeypatch.setitem(
        CORPORA, "emodb", replace(CORPORA["emodb"], sources=(Source(ADDRESS), Source("kaggle:owner/other")))
    )
    expected = (
        rf"EmoDB: {ADDRESS} brought 7 of 14 clips, named like 03a01Fa.wav; speaker 08.* missing. They are in "
        rf"{tmp_path / 'emodb'}. Try another source: --from kaggle:owner/other."
    )
    with pytest.raises(CorpusError, match=expected):
        download("emodb", tmp_path)


def test_a_second_source_completes_what_the_first_lacks(hub_client, tmp_path):
    files = emodb_files()
    publish(hub_client, {"emodb.zip": zipped(emodb_files(CLIPS // 2))}, "tester/half")
    publish(hub_client, {"emodb.zip": zipped(files)})
    with pytest.raises(CorpusError, match="brought 7 of 14"):
        download("emodb", tmp_path, address="hub:tester/half")
    assert download("emodb", tmp_path, address=ADDRESS)[1] == CLIPS


def test_no_such_dataset_and_a_private_one(hub_client, hub_server, tmp_path, monkeypatch):
    with pytest.raises(CorpusError, match=r"there is no hub:tester/none, or it is private or gated .* set HF_TOKEN"):
        download("emodb", tmp_path, address="hub:tester/none")
    publish(hub_client, {"emodb.zip": zipped(emodb_files())}, private=True)
    hub_server.add_user("stranger", "hf_token_of_stranger")
    monkeypatch.setenv("HF_TOKEN", "hf_token_of_stranger")
    with pytest.raises(CorpusError, match=f"there is no {ADDRESS}, or it is private"):
        download("emodb", tmp_path, address=ADDRESS)
    monkeypatch.setenv("HF_TOKEN", hub_server.token)
    assert download("emodb", tmp_path, address=ADDRESS)[1] == CLIPS


def test_a_dataset_without_clips(hub_client, tmp_path):
    publish(hub_client, {"README.md": b"# Nothing", "model.bin": b"\0"})
    with pytest.raises(
        CorpusError, match=r"has no clip, no archive and no Parquet file; it has .*README.md, model.bin"
    ):
        download("emodb", tmp_path, address=ADDRESS)


@pytest.mark.parametrize("address", ["hub:a/b/c", "hub:"])
def test_an_address_on_the_hub_that_is_none(hub_client, tmp_path, address):
    with pytest.raises(CorpusError, match="is no dataset: give its owner and name, as hub:OWNER/NAME"):
        download("emodb", tmp_path, address=address)


@pytest.mark.parametrize("address", ["ftp://host/emodb.zip", "owner/name", ""])
def test_an_address_of_no_kind(tmp_path, address):
    with pytest.raises(CorpusError, match=r"is no source; accepted are hub:OWNER/NAME .* kaggle:OWNER/NAME"):
        download("emodb", tmp_path, address=address)


def test_a_page_is_no_archive(tmp_path):
    with pytest.raises(CorpusError, match="is no archive by its name; accepted are"):
        download("emodb", tmp_path, address="https://localhost/records/1188976")


def test_no_network(hub_client, hub_server, tmp_path, client_waits):
    publish(hub_client, {"emodb.zip": zipped(emodb_files())})
    address = f"{hub_server.endpoint}/datasets/{REPO_ID}/resolve/main/emodb.zip"
    hub_server.fail_next("*", times=100)
    for source in (ADDRESS, address):
        with pytest.raises(CorpusError, match=r"EmoDB: the connection to .* failed .* Check the network"):
            download("emodb", tmp_path, address=source)


def test_a_disk_that_is_too_small(hub_client, hub_server, tmp_path, monkeypatch):
    publish(hub_client, {"emodb.zip": zipped(emodb_files())})
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr(download_module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(CorpusError, match=r"0.0 GB are needed, 0.0 GB are free. Make room first"):
        download("emodb", tmp_path, address=ADDRESS)
    assert not hub_server.requests_to("*/resolve/*", method="GET")


def test_a_disk_that_fills_up_leaves_no_half_clip(hub_client, tmp_path, monkeypatch):
    publish(hub_client, {"emodb.zip": zipped(emodb_files())})
    copy, copied = shutil.copyfileobj, []

    def fill(source: io.BufferedIOBase, target: io.BufferedIOBase) -> None:
        copied.append(target.name)
        if len(copied) > 5:
            target.write(source.read(100))
            raise OSError(errno.ENOSPC, "No space left on device")
        copy(source, target)

    monkeypatch.setattr(unpacking.shutil, "copyfileobj", fill)
    with pytest.raises(CorpusError, match=r"EmoDB: the disk is full. Make room, and run the same command again"):
        download("emodb", tmp_path, address=ADDRESS)
    clips = sorted((tmp_path / "emodb").rglob("[!.]*.wav"))
    assert [path.stat().st_size for path in clips] == [CLIP_BYTES] * 5
    monkeypatch.setattr(unpacking.shutil, "copyfileobj", copy)
    assert download("emodb", tmp_path, address=ADDRESS)[1] == CLIPS


@pytest.mark.parametrize("name", ["../../outside.wav", "/etc/outside.wav", "a\\..\\..\\outside.wav", "C:/outside.wav"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_member_that_points_out_of_the_archive_is_refused(tmp_path, name, pack):
    archive = tmp_path / "downloaded" / ("a.zip" if pack is zipped else "a.tar.gz")
    archive.parent.mkdir()
    archive.write_bytes(pack({name: b"\0" * 500}))
    with pytest.raises(CorpusError, match="points out of the archive"):
        unpack(archive.parent, tmp_path / "deep" / "corpus")
    assert names_below(tmp_path) == [archive.relative_to(tmp_path).as_posix()]


def test_links_and_other_files_of_an_archive_are_left_alone(tmp_path):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, kind in (
            ("a/link.wav", tarfile.SYMTYPE),
            ("a/hard.wav", tarfile.LNKTYPE),
            ("a/pipe.wav", tarfile.FIFOTYPE),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
        for name in ("a/run.sh", "a/.hidden/x.py", "a/03a01Fa.wav"):
            entry = tarfile.TarInfo(name)
            entry.size = 300
            archive.addfile(entry, io.BytesIO(b"x" * 300))
    (tmp_path / "downloaded").mkdir()
    (tmp_path / "downloaded" / "a.tar").write_bytes(content.getvalue())
    assert unpack(tmp_path / "downloaded", tmp_path / "corpus") == 1
    assert names_below(tmp_path / "corpus") == ["a/03a01Fa.wav"]


def test_a_zip_bomb_is_refused(tmp_path, monkeypatch):
    (tmp_path / "downloaded").mkdir()
    bomb = zipped({"a.wav": b"\0" * 5000, "b.wav": b"\0" * 5000}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 500
    (tmp_path / "downloaded" / "bomb.zip").write_bytes(bomb)
    monkeypatch.setattr(unpacking, "LARGEST_MEMBER", 4999)
    with pytest.raises(CorpusError, match=r"'a.wav' has 5,000 bytes; at most 4,999 are accepted"):
        unpack(tmp_path / "downloaded", tmp_path / "corpus")
    monkeypatch.setattr(unpacking, "LARGEST_MEMBER", 5000)
    monkeypatch.setattr(unpacking, "LARGEST_CORPUS", 9999)
    with pytest.raises(CorpusError, match="more than 9,999 bytes of clips"):
        unpack(tmp_path / "downloaded", tmp_path / "corpus")


def test_the_same_clip_in_two_trees_is_written_once(tmp_path):
    files = emodb_files()
    (tmp_path / "downloaded").mkdir()
    twice = files | {f"archive/again/{name}": data for name, data in files.items()}
    (tmp_path / "downloaded" / "a.zip").write_bytes(zipped(twice))
    assert unpack(tmp_path / "downloaded", tmp_path / "corpus") == CLIPS
    assert names_below(tmp_path / "corpus") == sorted(files)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.parquet"])
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_damaged_archive(tmp_path, name, share):
    pack = {"a.zip": zipped, "a.tar.gz": tarred, "a.parquet": parquet}[name]
    content = pack(emodb_files())
    (tmp_path / "downloaded").mkdir()
    (tmp_path / "downloaded" / name).write_bytes(content[: round(share * len(content))] or b"<html>no archive</html>")
    with pytest.raises(CorpusError, match="is damaged, encrypted or no such archive"):
        unpack(tmp_path / "downloaded", tmp_path / "corpus")


def test_a_clip_with_a_wrong_checksum_in_a_zip(tmp_path):
    content = bytearray(zipped(emodb_files()))
    content[2000] ^= 0xFF
    (tmp_path / "downloaded").mkdir()
    (tmp_path / "downloaded" / "a.zip").write_bytes(content)
    with pytest.raises(CorpusError, match=r"is damaged.*Bad CRC-32"):
        unpack(tmp_path / "downloaded", tmp_path / "corpus")
    assert not list((tmp_path / "corpus").rglob("[!.]*.wav"))


@pytest.mark.parametrize("name", sorted(name for name, corpus in CORPORA.items() if corpus.licence_steps))
@pytest.mark.parametrize("address", [None, "hub:tester/copy"])
def test_a_licence_to_be_signed(tmp_path, name, address):
    with pytest.raises(CorpusError) as error:
        download(name, tmp_path, address=address)
    assert str(tmp_path / name) in str(error.value)
    assert "http" in str(error.value)


def test_a_corpus_without_a_known_copy(tmp_path):
    with pytest.raises(CorpusError, match=r"ASED: no copy is known .* --from hub:OWNER/NAME"):
        download("ased", tmp_path)


def test_an_unknown_corpus(tmp_path):
    with pytest.raises(CorpusError, match=r"unknown corpus 'ravdes'. Did you mean 'ravdess'"):
        download("ravdes", tmp_path)


def test_every_source_is_well_formed():
    sources = [source for corpus in CORPORA.values() for source in corpus.sources]
    assert len(sources) > 4
    for source in sources:
        kind, _, place = source.address.partition(":")
        assert kind in ("hub", "kaggle", "https")
        assert place.startswith("//") or place.count("/") == 1


def write_manifest(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "sha256", "bytes"])
        writer.writerows(
            [Path(name).name, hashlib.sha256(data).hexdigest(), len(data)] for name, data in files.items()
        )


def test_checksums_of_crema_d(hub_client, tmp_path, monkeypatch, caplog):
    names = ["AudioWAV/1001_IEO_ANG_HI.wav", "AudioWAV/1001_IEO_SAD_HI.wav"]
    files = {name: name.encode() * 20 for name in names}
    monkeypatch.setitem(registry.CORPORA, "crema_d", replace(CORPORA["crema_d"], clips=len(files)))
    publish(hub_client, files)
    write_manifest(tmp_path / "sums.csv", files)
    with caplog.at_level("INFO"):
        download("crema_d", tmp_path / "corpora", address=ADDRESS, manifest=tmp_path / "sums.csv")
    assert "SHA-256 of 2 of 2 files intact, 0 missing" in caplog.text
    write_manifest(tmp_path / "corpora" / "crema_d" / "manifest.csv", files | {names[1]: b"another" * 30})
    with pytest.raises(CorpusError, match=r"1 damaged: 1001_IEO_SAD_HI.wav. Delete these files and download again"):
        download("crema_d", tmp_path / "corpora")


def run_command(server: HubServer, home: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "train", "download", *arguments]
    return subprocess.run(command, env=server.environment(home), capture_output=True, text=True, timeout=120)


def test_the_command(hub_client, hub_server, tmp_path):
    names = [
        name
        for speaker in CORPORA["ravdess"].speakers
        for code in CORPORA["ravdess"].labels
        for name in NAMES["ravdess"](speaker[-2:], code)
    ]
    publish(hub_client, {"speech.zip": zipped(dict.fromkeys(names, b"\0" * 300))}, "tester/ravdess")
    root = tmp_path / "corpora"
    arguments = ("ravdess", "--from", "hub:tester/ravdess", "--corpora-root", str(root))
    done = run_command(hub_server, tmp_path / "home", *arguments)
    assert done.returncode == 0, done.stderr
    assert f"{root / 'ravdess'} has all 1,440 clips." in done.stdout
    assert "HTTP" not in done.stderr


def test_the_command_refuses_what_needs_a_licence(tmp_path, capsys):
    assert main(["download", "iemocap", "--corpora-root", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: IEMOCAP is given to those who sign its licence")
    assert str(tmp_path / "iemocap") in said
