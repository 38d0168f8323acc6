# ruff: noqa: F401, F811 (fixtures are imported by name)
"""How the real huggingface_hub, datasets and transformers behave against the test Hub, failures included."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub_server import client_waits, hub_client, hub_datasets, hub_server


# huggingface_hub 2.4 sends its uploads in a way that httpx2 is about to retire
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO_ID = "tester/model"
LARGE_FILE = bytes(range(256)) * 2000  # 512 kB: dozens of reads of the server
FILES = {
    "README.md": b"---\nlicense: mit\n---\n# A model\n",
    "config.json": b"{}",
    "model.safetensors": LARGE_FILE,
    "figures/confusion.txt": b"1 0\n0 1\n",
}


@pytest.fixture
def folder(tmp_path):
    """A small checkpoint: a card, small files, one in a folder, and one large file."""
    for name, content in FILES.items():
        path = tmp_path / "checkpoint" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "checkpoint"


@pytest.fixture
def pushed(hub_client, folder):
    """The API, after one push of the folder."""
    hub_client.create_repo(REPO_ID)
    push(hub_client, folder)
    return hub_client


def push(api, folder, **options):
    return api.upload_folder(repo_id=REPO_ID, folder_path=folder, commit_message="Push the checkpoint", **options)


def assert_pushed_once(server):
    """One commit besides the Hub's own, with every file complete, and no failure left over."""
    assert server.commit_titles(REPO_ID) == ["Push the checkpoint", "initial commit"]
    files = server.files(REPO_ID)
    del files[".gitattributes"]
    assert files == FILES
    assert server.failures_to_come == 0


class TestRoundTrip:
    def test_snapshot_holds_what_was_pushed(self, pushed, hub_server):
        assert_pushed_once(hub_server)
        snapshot = snapshot_download(REPO_ID)
        for name, content in FILES.items():
            with open(f"{snapshot}/{name}", "rb") as file:
                assert file.read() == content

    def test_tag_keeps_its_files(self, pushed, folder):
        pushed.create_tag(REPO_ID, tag="v1.0", tag_message="First")
        (folder / "config.json").write_text('{"labels": 8}')
        commit = push(pushed, folder)
        for revision, expected in [("v1.0", "{}"), (None, '{"labels": 8}'), (commit.oid, '{"labels": 8}')]:
            with open(hf_hub_download(REPO_ID, "config.json", revision=revision)) as file:
                assert file.read() == expected

    def test_outdated_parent_is_refused(self, pushed, hub_server, folder):
        first = hub_server.repository(REPO_ID).history()[-1].oid
        (folder / "config.json").write_text('{"labels": 8}')
        with pytest.raises(HfHubHTTPError, match="412"):
            push(pushed, folder, parent_commit=first)
        assert_pushed_once(hub_server)


class TestRepositories:
    def test_private_file_needs_the_token(self, hub_client, hub_server, folder):
        hub_client.create_repo(REPO_ID, private=True)
        push(hub_client, folder)
        with pytest.raises(RepositoryNotFoundError):
            hf_hub_download(REPO_ID, "config.json", token=False)
        hf_hub_download(REPO_ID, "config.json", token=hub_server.token)

    @pytest.mark.parametrize(
        ("repo_id", "filename", "revision", "error"),
        [
            ("tester/nothing", "config.json", None, RepositoryNotFoundError),
            ("nothing", "config.json", None, RepositoryNotFoundError),
            (REPO_ID, "config.json", "v9", RevisionNotFoundError),
            (REPO_ID, "nothing.json", None, EntryNotFoundError),
        ],
    )
    def test_what_is_missing_is_named(self, pushed, repo_id, filename, revision, error):
        with pytest.raises(error):
            hf_hub_download(repo_id, filename, revision=revision)


class TestFailures:
    @pytest.mark.parametrize("address", ["*/preupload/main", "*/objects/batch", "/lfs/*"])
    def test_client_waits_as_long_as_told(self, hub_client, hub_server, folder, client_waits, address):
        hub_client.create_repo(REPO_ID)
        hub_server.fail_next(address, status=429, headers={"Retry-After": "7"}, times=2)
        push(hub_client, folder)
        assert client_waits == [8.0, 8.0]  # the client adds a second of its own
        assert_pushed_once(hub_server)

    @pytest.mark.parametrize(("client_reads", "status"), [(10_000, 206), (10_000_000, 200)])
    def test_cut_download_is_completed(self, pushed, hub_server, client_waits, monkeypatch, client_reads, status):
        """The client goes on where it broke, but loses what it had not read whole: a small file starts again."""
        monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", client_reads)
        hub_server.fail_next("*/model.safetensors", method="GET", after_bytes=200_000)
        path = hf_hub_download(REPO_ID, "model.safetensors")
        with open(path, "rb") as file:
            assert file.read() == LARGE_FILE
        broken, completed = hub_server.requests_to("*/model.safetensors", method="GET")
        assert (broken.status, completed.status) == (None, status)
        assert completed.headers.get("range") == ("bytes=200000-" if status == 206 else None)

    def test_download_that_fails_can_be_repeated(self, pushed, hub_server, client_waits):
        hub_server.fail_next("*/config.json", method="GET", status=500)
        with pytest.raises(HfHubHTTPError, match="500"):
            snapshot_download(REPO_ID)
        snapshot = snapshot_download(REPO_ID)
        with open(f"{snapshot}/config.json", "rb") as file:
            assert file.read() == FILES["config.json"]


class TestDatasets:
    @pytest.fixture
    def recordings(self, hub_datasets, hub_server):
        """A private dataset of four recordings and their emotions, in Parquet."""
        buffer = io.BytesIO()
        soundfile.write(buffer, np.zeros(1600, dtype=np.float32), 16000, format="WAV")
        audio = [{"bytes": buffer.getvalue(), "path": f"{number}.wav"} for number in range(4)]
        table = hub_datasets.Dataset.from_dict({"audio": audio, "emotion": ["angry", "angry", "sad", "sad"]})
        table = table.cast_column("audio", hub_datasets.Audio(decode=False))
        table.push_to_hub("tester/recordings", private=True, token=hub_server.token)
        return hub_datasets

    @pytest.mark.parametrize("streaming", [False, True])
    def test_pushed_dataset_loads(self, recordings, streaming):
        rows = list(recordings.load_dataset("tester/recordings", split="train", streaming=streaming))
        assert [row["emotion"] for row in rows] == ["angry", "angry", "sad", "sad"]
        samples, rate = soundfile.read(io.BytesIO(rows[0]["audio"]["bytes"]))
        assert (len(samples), rate) == (1600, 16000)


class TestOtherProcess:
    CODE = "from transformers import PreTrainedConfig\nclass Tiny(PreTrainedConfig):\n    model_type = 'tiny'\n"
    CONFIG = {"model_type": "tiny", "answer": 42, "auto_map": {"AutoConfig": "configuration_tiny.Tiny"}}
    LOAD = """
from transformers import AutoConfig
config = AutoConfig.from_pretrained("tester/tiny", trust_remote_code=True)
print(type(config).__name__, config.answer)
"""

    def test_transformers_loads_code_of_a_private_repository(self, hub_server, tmp_path, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        api = HfApi(endpoint=hub_server.endpoint, token=hub_server.token)
        environment = hub_server.environment(tmp_path / "home")
        assert "HF_HUB_OFFLINE" not in environment
        api.create_repo("tester/tiny", private=True)
        for name, content in [("configuration_tiny.py", self.CODE), ("config.json", json.dumps(self.CONFIG))]:
            api.upload_file(path_or_fileobj=content.encode(), path_in_repo=name, repo_id="tester/tiny")
        command = [sys.executable, "-c", self.LOAD]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["Tiny", "42"]
        assert {request.token for request in hub_server.requests} == {hub_server.token}
