# ruff: noqa: F401, F811 (fixtures are imported by name)
"""The test Hub, spoken to by the real huggingface_hub and datasets: what is pushed comes back, failures included."""

import io
import json
import socket
import subprocess
import sys

import httpx2
import numpy as np
import pytest
import soundfile
from huggingface_hub import HfApi, get_session, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub_metadata import front_matter_errors
from tests.hub_server import HubServer, client_waits, hub_client, hub_datasets, hub_server


# huggingface_hub 2.4 sends its uploads in a way that httpx2 is about to retire
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO_ID = "tester/model"
LARGE_FILE = bytes(range(256)) * 2000  # 512 kB: dozens of reads of the server
CARD = """---
license: mit
library_name: transformers
pipeline_tag: audio-classification
tags: [audio]
---
# A model
"""
CLIENT_TRIES = 6
FILES = {
    "README.md": CARD.encode(),
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


def push(api, folder, message="Push the checkpoint", **options):
    return api.upload_folder(repo_id=REPO_ID, folder_path=folder, commit_message=message, **options)


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

    def test_only_the_large_file_travels_ahead_of_the_commit(self, pushed, hub_server):
        (upload,) = hub_server.requests_to("/lfs/*", method="PUT")
        (commit,) = hub_server.requests_to("*/commit/main")
        assert upload.received_bytes == len(LARGE_FILE)
        assert commit.received_bytes < 2000

    def test_unchanged_files_make_no_commit(self, pushed, hub_server, folder):
        push(pushed, folder, "Again")
        assert_pushed_once(hub_server)
        assert len(hub_server.requests_to("*/commit/*")) == 1
        assert len(hub_server.requests_to("/lfs/*")) == 1

    def test_only_changed_files_are_committed(self, pushed, hub_server, folder):
        (folder / "config.json").write_text('{"labels": 8}')
        push(pushed, folder, "New labels")
        newest, before = hub_server.repository(REPO_ID).history()[:2]
        assert newest.parents == (before.oid,)
        changed = {path for path, blob in newest.files.items() if before.files[path] != blob}
        assert changed == {"config.json"}
        assert hub_server.requests_to("*/commit/*")[-1].received_bytes < 300

    def test_tag_keeps_its_files(self, pushed, folder):
        pushed.create_tag(REPO_ID, tag="v1.0", tag_message="First")
        (folder / "config.json").write_text('{"labels": 8}')
        commit = push(pushed, folder)
        for revision, expected in [("v1.0", "{}"), (None, '{"labels": 8}'), (commit.oid, '{"labels": 8}')]:
            with open(hf_hub_download(REPO_ID, "config.json", revision=revision)) as file:
                assert file.read() == expected

    def test_tags_and_branches_come_and_go(self, pushed):
        pushed.create_tag(REPO_ID, tag="v1.0")
        with pytest.raises(HfHubHTTPError, match="409"):
            pushed.create_tag(REPO_ID, tag="v1.0")
        pushed.create_tag(REPO_ID, tag="v1.0", exist_ok=True)
        pushed.create_branch(REPO_ID, branch="feature/eight-labels", revision="v1.0")
        references = pushed.list_repo_refs(REPO_ID)
        head = pushed.model_info(REPO_ID).sha
        assert [(tag.name, tag.target_commit) for tag in references.tags] == [("v1.0", head)]
        assert {branch.name for branch in references.branches} == {"main", "feature/eight-labels"}
        pushed.delete_tag(REPO_ID, tag="v1.0")
        pushed.delete_branch(REPO_ID, branch="feature/eight-labels")
        with pytest.raises(RevisionNotFoundError):
            pushed.delete_tag(REPO_ID, tag="v1.0")
        with pytest.raises(HfHubHTTPError, match="protected"):
            pushed.delete_branch(REPO_ID, branch="main")

    def test_push_to_a_branch_leaves_main_alone(self, pushed, hub_server, folder):
        pushed.create_branch(REPO_ID, branch="next")
        (folder / "config.json").write_text('{"labels": 8}')
        push(pushed, folder, revision="next")
        assert hub_server.files(REPO_ID)["config.json"] == b"{}"
        assert hub_server.files(REPO_ID, revision="next")["config.json"] == b'{"labels": 8}'

    def test_deleted_files_and_folders_are_gone(self, pushed, hub_server):
        pushed.delete_file("config.json", REPO_ID)
        pushed.delete_folder("figures", REPO_ID)
        assert set(hub_server.files(REPO_ID)) == {".gitattributes", "README.md", "model.safetensors"}
        with pytest.raises(EntryNotFoundError):
            pushed.delete_file("config.json", REPO_ID)

    def test_model_info_reads_the_card(self, pushed):
        info = pushed.model_info(REPO_ID, files_metadata=True)
        assert (info.author, info.private, info.library_name) == ("tester", False, "transformers")
        assert info.pipeline_tag == "audio-classification"
        assert info.tags == ["audio"]
        assert info.card_data.license == "mit"
        sizes = {sibling.rfilename: sibling.size for sibling in info.siblings}
        assert sizes["model.safetensors"] == len(LARGE_FILE)

    def test_tree_lists_folders_and_large_files(self, pushed):
        top = {entry.path: entry for entry in pushed.list_repo_tree(REPO_ID)}
        assert set(top) == {".gitattributes", "README.md", "config.json", "figures", "model.safetensors"}
        assert top["model.safetensors"].lfs.size == len(LARGE_FILE)
        assert [entry.path for entry in pushed.list_repo_tree(REPO_ID, "figures")] == ["figures/confusion.txt"]
        assert "figures/confusion.txt" in pushed.list_repo_files(REPO_ID)
        (found,) = pushed.get_paths_info(REPO_ID, ["config.json", "no such file"])
        assert found.path == "config.json"

    def test_history_names_titles_and_authors(self, pushed):
        commits = pushed.list_repo_commits(REPO_ID)
        assert [commit.title for commit in commits] == ["Push the checkpoint", "initial commit"]
        assert commits[0].authors == ["tester"]

    def test_outdated_parent_is_refused(self, pushed, hub_server, folder):
        first = hub_server.repository(REPO_ID).history()[-1].oid
        (folder / "config.json").write_text('{"labels": 8}')
        with pytest.raises(HfHubHTTPError, match="412"):
            push(pushed, folder, parent_commit=first)
        assert_pushed_once(hub_server)

    def test_space_keeps_its_sdk(self, hub_client, hub_server):
        hub_client.create_repo("tester/demo", repo_type="space", space_sdk="gradio")
        hub_client.upload_file(
            path_or_fileobj=b"print('hello')\n", path_in_repo="app.py", repo_id="tester/demo", repo_type="space"
        )
        assert hub_client.space_info("tester/demo").sdk == "gradio"
        path = hf_hub_download("tester/demo", "app.py", repo_type="space")
        with open(path, "rb") as file:
            assert file.read() == hub_server.files("tester/demo", "space")["app.py"]


class TestRepositories:
    def test_creating_twice_needs_exist_ok(self, hub_client):
        address = hub_client.create_repo(REPO_ID)
        with pytest.raises(HfHubHTTPError, match="409"):
            hub_client.create_repo(REPO_ID)
        assert hub_client.create_repo(REPO_ID, exist_ok=True) == address

    def test_same_name_of_another_type_is_another_repository(self, hub_client):
        hub_client.create_repo(REPO_ID)
        hub_client.create_repo(REPO_ID, repo_type="dataset")
        hub_client.delete_repo(REPO_ID)
        assert hub_client.repo_exists(REPO_ID, repo_type="dataset")
        assert not hub_client.repo_exists(REPO_ID)

    def test_private_repository_is_hidden_from_others(self, hub_client, hub_server):
        hub_client.create_repo(REPO_ID, private=True)
        hub_server.add_user("stranger", "hf_token_of_stranger")
        for token, status in [(False, 401), ("hf_token_of_stranger", 404)]:
            with pytest.raises(RepositoryNotFoundError, match=str(status)):
                hub_client.model_info(REPO_ID, token=token)
        assert hub_client.model_info(REPO_ID).private
        hub_client.update_repo_settings(REPO_ID, private=False)
        assert not hub_client.model_info(REPO_ID, token=False).private

    def test_private_file_needs_the_token(self, hub_client, hub_server, folder):
        hub_client.create_repo(REPO_ID, private=True)
        push(hub_client, folder)
        with pytest.raises(RepositoryNotFoundError):
            hf_hub_download(REPO_ID, "config.json", token=False)
        hf_hub_download(REPO_ID, "config.json", token=hub_server.token)

    def test_unknown_token_is_told_apart_from_a_missing_repository(self, pushed):
        with pytest.raises(HfHubHTTPError, match="Invalid credentials") as caught:
            pushed.model_info(REPO_ID, token="hf_expired")
        assert not isinstance(caught.value, RepositoryNotFoundError)
        with pytest.raises(HfHubHTTPError, match="Invalid user token"):
            pushed.whoami(token="hf_expired")

    def test_read_token_may_not_write(self, pushed, hub_server, folder):
        hub_server.add_user("tester", "hf_read_only", role="read")
        (folder / "config.json").write_text('{"labels": 8}')
        with pytest.raises(HfHubHTTPError, match="write token"):
            push(pushed, folder, token="hf_read_only")
        assert pushed.whoami(token="hf_read_only")["auth"]["accessToken"]["role"] == "read"
        assert_pushed_once(hub_server)

    def test_other_namespaces_are_closed(self, pushed, hub_server, folder):
        with pytest.raises(HfHubHTTPError, match="the namespace somebody"):
            pushed.create_repo("somebody/model")
        hub_server.add_user("stranger", "hf_token_of_stranger")
        (folder / "config.json").write_text('{"labels": 8}')
        with pytest.raises(HfHubHTTPError, match="namespace tester"):
            push(pushed, folder, token="hf_token_of_stranger")
        assert_pushed_once(hub_server)

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

    def test_unknown_address_is_refused(self, hub_server, hub_client):
        response = get_session().get(hub_server.endpoint + "/api/no-such-thing")
        assert response.status_code == 404
        assert "does not know GET /api/no-such-thing" in response.json()["error"]


class TestCards:
    def test_broken_card_stops_the_push_before_any_upload(self, hub_client, hub_server, folder):
        hub_client.create_repo(REPO_ID)
        (folder / "README.md").write_text("---\nmodel-index: 96 %\n---\n")
        with pytest.raises(ValueError, match='"model-index" must be an array'):
            push(hub_client, folder)
        assert hub_server.requests_to("*/preupload/*") == []

    def test_card_without_metadata_is_taken_with_a_warning(self, hub_client, hub_server, folder):
        hub_client.create_repo(REPO_ID)
        (folder / "README.md").write_text("# A model\n")
        with pytest.warns(UserWarning, match="missing yaml metadata"):
            push(hub_client, folder)
        assert hub_server.files(REPO_ID)["README.md"] == b"# A model\n"

    @pytest.mark.parametrize(
        ("repo_type", "metadata", "words"),
        [
            ("model", "license: [", "cannot be read"),
            ("model", "- a list", "mapping"),
            ("model", "datasets: [null]", '"datasets"'),
            ("model", "tags: 8", '"tags"'),
            ("model", "model-index: [{name: m}]", '"model-index[0].results" is required'),
            ("model", "model-index: [{name: m, results: [{metrics: []}]}]", "results[0].task"),
            ("space", "sdk: tkinter", '"sdk" must be one of'),
            ("space", "colorFrom: mauve", '"colorFrom" must be one of'),
            ("space", f"short_description: {61 * 'x'}", "at most 60"),
        ],
    )
    def test_broken_metadata_is_named(self, repo_type, metadata, words):
        (error,) = [error for error in front_matter_errors(f"---\n{metadata}\n---\n", repo_type) if words in error]
        assert error

    def test_results_need_their_values(self):
        result = {"task": {"type": "audio-classification"}, "dataset": {"type": "d", "name": "D"}}
        complete = {**result, "metrics": [{"type": "accuracy", "value": 0.0}]}
        lacking = {**result, "metrics": [{"type": "accuracy"}]}
        for results, errors in [
            (complete, []),
            (lacking, ['"model-index[0].results[0].metrics[0].value" is required']),
        ]:
            card = f"---\nmodel-index: {json.dumps([{'name': 'm', 'results': [results]}])}\n---\n"
            assert front_matter_errors(card, "model") == errors


class TestFailures:
    @pytest.mark.parametrize("status", [401, 403, 404, 409, 500])
    @pytest.mark.parametrize("address", ["*/preupload/main", "*/commit/main"])
    def test_refusal_leaves_nothing_and_a_second_try_succeeds(
        self, hub_client, hub_server, client_waits, folder, status, address
    ):
        hub_client.create_repo(REPO_ID)
        retried = status == 500 and address != "*/commit/main"
        hub_server.fail_next(address, status=status, times=CLIENT_TRIES if retried else 1)
        with pytest.raises(HfHubHTTPError) as caught:
            push(hub_client, folder)
        assert caught.value.response.status_code == status
        assert hub_server.commit_titles(REPO_ID) == ["initial commit"]
        push(hub_client, folder)
        assert_pushed_once(hub_server)

    @pytest.mark.parametrize("address", ["*/preupload/main", "*/objects/batch", "/lfs/*"])
    def test_client_waits_as_long_as_told(self, hub_client, hub_server, folder, client_waits, address):
        hub_client.create_repo(REPO_ID)
        hub_server.fail_next(address, status=429, headers={"Retry-After": "7"}, times=2)
        push(hub_client, folder)
        assert client_waits == [8.0, 8.0]  # the client adds a second of its own
        assert_pushed_once(hub_server)

    @pytest.mark.parametrize("status", [500, None])
    def test_upload_that_breaks_in_the_middle_is_sent_again(
        self, hub_client, hub_server, folder, client_waits, status
    ):
        hub_client.create_repo(REPO_ID)
        hub_server.fail_next("/lfs/*", status=status, after_bytes=100_000)
        push(hub_client, folder)
        broken, complete = hub_server.requests_to("/lfs/*", method="PUT")
        assert broken.status == status
        assert complete.received_bytes == len(LARGE_FILE)
        assert len(client_waits) == 1
        assert_pushed_once(hub_server)

    def test_upload_that_keeps_breaking_fails_without_a_commit(self, hub_client, hub_server, folder, client_waits):
        hub_client.create_repo(REPO_ID)
        hub_server.fail_next("/lfs/*", times=CLIENT_TRIES, after_bytes=100_000)
        with pytest.raises(RuntimeError, match=r"model\.safetensors"):
            push(hub_client, folder)
        assert hub_server.repository(REPO_ID).large_files == {}
        assert hub_server.commit_titles(REPO_ID) == ["initial commit"]
        push(hub_client, folder)
        assert_pushed_once(hub_server)

    def test_large_file_that_arrived_is_not_sent_again(self, hub_client, hub_server, folder):
        hub_client.create_repo(REPO_ID)
        hub_server.fail_next("*/commit/*", status=500)
        with pytest.raises(HfHubHTTPError):
            push(hub_client, folder)
        push(hub_client, folder)
        assert len(hub_server.requests_to("/lfs/*")) == 1
        assert_pushed_once(hub_server)

    @pytest.mark.parametrize("in_answer", [False, True])
    def test_cut_commit_is_made_once(self, hub_client, hub_server, folder, in_answer):
        """Cut while it arrives, the commit is not made; cut in the answer, it is, and a second try must see that."""
        hub_client.create_repo(REPO_ID)
        hub_server.fail_next("*/commit/*", in_answer=in_answer)
        with pytest.raises(httpx2.TransportError):
            push(hub_client, folder)
        assert len(hub_server.commit_titles(REPO_ID)) == (2 if in_answer else 1)
        push(hub_client, folder)
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

    def test_failures_strike_in_order_and_only_where_ordered(self, pushed, hub_server):
        hub_server.fail_next("/api/models/*", status=403, method="POST")
        hub_server.fail_next("/api/models/*", status=404)
        hub_server.fail_next("/api/models/*", status=401)
        for status in (404, 401):
            with pytest.raises(HfHubHTTPError, match=str(status)):
                pushed.model_info(REPO_ID)
        assert pushed.model_info(REPO_ID).id == REPO_ID
        assert hub_server.failures_to_come == 1

    @pytest.mark.parametrize("wrong", [{"status": 200}, {"times": 0}, {"after_bytes": -1}])
    def test_impossible_failures_are_refused(self, hub_server, wrong):
        with pytest.raises(ValueError, match="A failure needs"):
            hub_server.fail_next("*", **wrong)


class TestHttp:
    @pytest.mark.parametrize(
        ("asked", "status", "expected"),
        [
            ("bytes=10-19", 206, LARGE_FILE[10:20]),
            ("bytes=511990-", 206, LARGE_FILE[511990:]),
            ("bytes=-5", 206, LARGE_FILE[-5:]),
            ("bytes=511990-999999", 206, LARGE_FILE[511990:]),
            ("bytes=512000-", 416, b""),
            ("lines=1-2", 200, LARGE_FILE),
        ],
    )
    def test_ranges(self, pushed, hub_server, asked, status, expected):
        address = f"{hub_server.endpoint}/{REPO_ID}/resolve/main/model.safetensors"
        response = get_session().get(address, headers={"Range": asked})
        assert (response.status_code, response.content) == (status, expected)

    def test_chunked_upload_arrives(self, pushed, hub_server):
        ticket = hub_server.storage.issue_ticket(hub_server.repository(REPO_ID), "0" * 64)
        parts = (LARGE_FILE[start : start + 50_000] for start in range(0, len(LARGE_FILE), 50_000))
        response = get_session().put(f"{hub_server.endpoint}/lfs/{ticket}", content=parts)
        assert response.status_code == 400
        assert f"{len(LARGE_FILE)} bytes received do not have the announced SHA-256" in response.json()["error"]
        assert hub_server.requests_to("/lfs/*")[-1].received_bytes == len(LARGE_FILE)

    def test_upload_goes_only_to_addresses_given_out(self, pushed, hub_server):
        assert get_session().put(f"{hub_server.endpoint}/lfs/guessed", content=b"x").status_code == 403

    def test_commit_of_a_large_file_that_never_arrived_is_refused(self, pushed, hub_server):
        lines = [
            {"key": "header", "value": {"summary": "Dangling"}},
            {"key": "lfsFile", "value": {"path": "x.bin", "algo": "sha256", "oid": "0" * 64, "size": 1}},
        ]
        response = get_session().post(
            f"{hub_server.endpoint}/api/models/{REPO_ID}/commit/main",
            content="\n".join(json.dumps(line) for line in lines),
            headers={"Authorization": f"Bearer {hub_server.token}"},
        )
        assert response.status_code == 400
        assert "does not exist" in response.json()["error"]
        assert_pushed_once(hub_server)

    def test_malformed_request_is_refused(self, hub_server, hub_client):
        response = get_session().post(f"{hub_server.endpoint}/api/repos/create", content=b"{not json")
        assert response.status_code == 400

    def test_log_names_tokens_but_not_for_uploads_to_signed_addresses(self, pushed, hub_server):
        (commit,) = hub_server.requests_to("*/commit/*")
        (upload,) = hub_server.requests_to("/lfs/*")
        assert (commit.token, upload.token) == (hub_server.token, None)

    def test_listens_on_loopback_only_and_stops(self):
        with HubServer() as server:
            host, port = server.endpoint.removeprefix("http://").split(":")
            assert host == "127.0.0.1"
            socket.create_connection((host, int(port)), timeout=1).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=1)


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

    def test_private_dataset_needs_the_token(self, recordings):
        with pytest.raises(recordings.exceptions.DatasetNotFoundError):
            recordings.load_dataset("tester/recordings", token=False)

    def test_folder_of_recordings_comes_back_as_a_snapshot(self, hub_client, tmp_path):
        for emotion in ("angry", "sad"):
            (tmp_path / "recordings" / emotion).mkdir(parents=True)
            samples = np.zeros(1600, dtype=np.float32)
            soundfile.write(tmp_path / "recordings" / emotion / "1.wav", samples, 16000)
        hub_client.create_repo("tester/folder", repo_type="dataset")
        hub_client.upload_folder(repo_id="tester/folder", repo_type="dataset", folder_path=tmp_path / "recordings")
        snapshot = snapshot_download("tester/folder", repo_type="dataset", allow_patterns="angry/*")
        samples, rate = soundfile.read(f"{snapshot}/angry/1.wav")
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
