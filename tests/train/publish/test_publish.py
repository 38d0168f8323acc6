# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Uploads to the Hub: the files, and that they arrive whole, once and in one commit, whatever fails on the way."""

import ast
import json
import re
import shutil
import sys
from pathlib import Path
from subprocess import CalledProcessError
from types import SimpleNamespace

import numpy as np
import pytest
from huggingface_hub import ModelCard, SpaceCard

from ser_model import SERFeatureExtractor
from ser_model.onnx_backend import OnnxBackend
from ser_model.recognizer import PRETRAINED
from ser_model.torch_backend import TorchBackend
from tests.hub_server import client_waits, hub_client, hub_server
from tests.train.generated_corpora import make_corpus
from train.__main__ import main
from train.publish.hub import TRIES, HubError, Repository, send
from train.publish.publishing import exported_files, listing, model_files, space_files


pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of huggingface_hub's uploads

REPO_ID = "tester/model"
CLIENT_TRIES = 6  # of huggingface_hub, for the requests that it repeats by itself
FILES = {
    "README.md": b"---\nlicense: mit\n---\n# A model\n",
    "config.json": b"{}",
    "model.safetensors": bytes(range(256)) * 2000,
}
ADDRESSES = {
    "create": "/api/repos/create",
    "information": f"/api/models/{REPO_ID}",
    "tree": "*/tree/*",
    "card": "/api/validate-yaml",
    "plan": "*/preupload/main",
    "large files": "*/objects/batch",
    "commit": "*/commit/main",
    "tag": "*/tag/*",
}


@pytest.fixture
def waits(client_waits, monkeypatch) -> list[float]:
    """The seconds that we would have waited; nobody waits, neither we nor huggingface_hub."""
    seconds: list[float] = []
    monkeypatch.setattr("train.publish.hub.time", SimpleNamespace(sleep=seconds.append))
    return seconds


@pytest.fixture(scope="module")
def shipped() -> dict[str, bytes]:
    """Files that are sent of the shipped checkpoint."""
    return model_files(PRETRAINED, REPO_ID)


@pytest.fixture
def made_once(monkeypatch, shipped):
    """The files of the shipped checkpoint are not made again for every command."""
    monkeypatch.setattr("train.publish.publishing.model_files", lambda *given: {(PRETRAINED, REPO_ID): shipped}[given])


def send_files(files=FILES, **options):
    return send(files, Repository(REPO_ID, owned=("figures/*", "*.bin")), message="Publish", **options)


def imports_of(content: bytes) -> set[str]:
    """The packages that a module imports, but for those beside it."""
    nodes = list(ast.walk(ast.parse(content)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.partition(".")[0] for name in names}


def assert_there(server, files, titles=("Publish", "initial commit")) -> None:
    """Every file is there, nothing else, by these commits, and every failure that was ordered struck."""
    present = server.files(REPO_ID)
    del present[".gitattributes"]
    assert present == files
    assert tuple(server.commit_titles(REPO_ID)) == titles
    assert server.failures_to_come == 0


class TestModelFiles:
    def test_are_these_and_no_others(self, shipped):
        metrics = json.loads(shipped["metrics.json"])
        figures = {f"figures/confusion_matrix_{corpus}.png" for corpus in metrics["corpora"]}
        assert set(shipped) == figures | {
            "LICENSE",
            "README.md",
            "acoustics.py",
            "answer_rule.py",
            "config.json",
            "configuration_ser.py",
            "example.py",
            "feature_extraction_ser.py",
            "frame_features.py",
            "functionals.py",
            "metrics.json",
            "model.onnx",
            "model.safetensors",
            "model_int8.onnx",
            "modeling_ser.py",
            "network_ser.py",
            "never_heard.json",
            "preprocessor_config.json",
            "recipe.json",
            "adaptation.json",
            "robustness.json",
        }

    def test_what_lies_about_is_not_sent(self, shipped, tmp_path):
        folder = shutil.copytree(PRETRAINED, tmp_path / "checkpoint")
        (folder / "trainer").mkdir()
        for name in ("training_args.bin", "optimizer.pt", "notes.py", "predictions.parquet", "trainer/rng_state.pth"):
            (folder / name).write_bytes(b"\x80\x04K*.")
        files = model_files(folder, REPO_ID)
        assert set(files) == set(shipped)
        assert {name for name in files if files[name] != shipped[name]} <= {"README.md"}  # how the shipped was picked

    def test_figures_are_pictures(self, shipped):
        for name, content in shipped.items():
            assert content.startswith(b"\x89PNG") == name.startswith("figures/")

    def test_modules_need_only_what_a_stranger_has(self, shipped):
        imported = set()
        for name, content in shipped.items():
            if name.endswith(".py"):
                imported |= imports_of(content)
        assert imported - sys.stdlib_module_names == {"huggingface_hub", "librosa", "numpy", "torch", "transformers"}

    def test_exports_answer_as_the_checkpoint(self, shipped, tmp_path, speech):
        expected = TorchBackend(PRETRAINED).probabilities([speech])
        for name, tolerance in {"model.onnx": 1e-4, "model_int8.onnx": 0.05}.items():
            (tmp_path / name).write_bytes(shipped[name])
            answer = OnnxBackend(tmp_path / name).probabilities([speech])
            assert np.abs(answer - expected).max() < tolerance
        assert len(shipped["model_int8.onnx"]) < 0.5 * len(shipped["model.safetensors"])

    def test_checkpoint_that_onnx_cannot_hold_is_sent_without(self, tmp_path):
        SERFeatureExtractor(feature_names=["mfcc", "rms"]).save_pretrained(tmp_path)
        assert exported_files(tmp_path) == {}

    def test_example_names_the_repository(self, shipped):
        assert f'model="{REPO_ID}"' in shipped["example.py"].decode()

    def test_card_shows_the_figures_and_its_links_lead_somewhere(self, shipped):
        card = ModelCard(shipped["README.md"].decode())
        for name in shipped:
            if name.startswith("figures/"):
                assert f"]({name})" in card.text
        text = card.text
        for name in ("metrics.json", "never_heard.json"):  # the commands that wrote them are told as they were
            text = text.replace(json.loads(shipped[name])["command"], "")
        assert "ser_model/pretrained" not in text

    @pytest.mark.parametrize(
        ("missing", "words"),
        [
            ("metrics.json", "has no metrics.json: measure it first"),
            ("recipe.json", "has no recipe.json"),
            ("model.safetensors", "has no model.safetensors"),
            ("network_ser.py", "network_ser.py"),
            ("modeling_ser.py", "lacks the code that loads it .modeling_ser.py."),
        ],
    )
    def test_incomplete_checkpoint_is_refused(self, tmp_path, missing, words):
        folder = shutil.copytree(PRETRAINED, tmp_path / "checkpoint")
        (folder / missing).unlink()
        with pytest.raises(FileNotFoundError, match=words):
            model_files(folder, REPO_ID)

    def test_listing_has_sizes(self):
        assert listing({"b": b"x" * 1234, "a": b"y"}) == "    1  a\n1,234  b\n2 files, 1,235 bytes"


class TestCommand:
    def test_dry_run_talks_to_nobody(self, hub_client, hub_server, made_once, shipped, capsys, monkeypatch):
        monkeypatch.delenv("HF_TOKEN")
        assert main(["publish", str(PRETRAINED), "--repo-id", REPO_ID, "--dry-run"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert {line.split()[-1] for line in lines[:-1]} == set(shipped)
        assert lines[-1] == f"{len(shipped)} files, {sum(map(len, shipped.values())):,} bytes"
        assert main(["publish-space", "--repo-id", "tester/page", "--dry-run"]) == 0
        assert "app.py" in capsys.readouterr().out
        assert hub_server.requests == []

    def test_publishes_once(self, hub_client, hub_server, made_once, shipped, capsys):
        command = ["publish", str(PRETRAINED), "--repo-id", REPO_ID, "--private", "--revision", "v1.0"]
        assert main(command) == 0
        assert_there(hub_server, shipped, ("Publish v1.0", "initial commit"))
        assert f"{REPO_ID}: {len(shipped)} files changed" in capsys.readouterr().out
        assert hub_server.repository(REPO_ID).private
        assert main(command) == 0
        assert "nothing to change" in capsys.readouterr().out
        assert_there(hub_server, shipped, ("Publish v1.0", "initial commit"))
        assert len(hub_server.requests_to("*/commit/*")) == 1
        assert hub_server.repository(REPO_ID).tags == {"v1.0": hub_client.model_info(REPO_ID).sha}

    def test_checkpoint_without_figures_is_refused(self, hub_client, hub_server, checkpoint, capsys):
        assert main(["publish", str(checkpoint), "--repo-id", REPO_ID]) == 1
        assert "has no metrics.json" in capsys.readouterr().err
        assert hub_server.requests == []

    def test_space_is_published_once(self, hub_client, hub_server, capsys):
        for _ in range(2):
            assert main(["publish-space", "--repo-id", "tester/page"]) == 0
        assert "nothing to change" in capsys.readouterr().out
        files = hub_server.files("tester/page", "space")
        del files[".gitattributes"]
        assert files == space_files()
        assert hub_server.commit_titles("tester/page", "space") == ["Publish the page", "initial commit"]
        assert hub_server.repository("tester/page", "space").sdk == "gradio"

    def test_static_space_is_published_once(self, hub_client, hub_server, shipped, monkeypatch, capsys):
        monkeypatch.setattr("train.publish.publishing.exported_files", lambda _: {"model.onnx": shipped["model.onnx"]})
        try:
            made = space_files(static=True)
        except CalledProcessError as error:
            pytest.skip(str(error))  # npm has no network
        assert "examples/angry.mp3" in made
        monkeypatch.setattr("train.publish.publishing.static_space_files", lambda: made)
        for _ in range(2):
            assert main(["publish-space", "--repo-id", "tester/web", "--static"]) == 0
        assert "nothing to change" in capsys.readouterr().out
        files = hub_server.files("tester/web", "space")
        del files[".gitattributes"]
        assert files == made
        assert {"index.html", "web.js", "model.onnx", "ort.wasm.min.mjs"} < set(files)
        assert files["model.onnx"] == shipped["model.onnx"]
        assert SpaceCard(files["README.md"].decode()).data.sdk == "static"
        assert hub_server.repository("tester/web", "space").sdk == "static"


class TestSpaceFiles:
    def test_have_the_settings_of_a_space(self):
        card = SpaceCard(space_files()["README.md"].decode())
        assert (card.data.sdk, card.data.app_file) == ("gradio", "app.py")
        requirements = space_files()["requirements.txt"].decode()
        assert re.search(r"^gradio(\[\w+\])?==(.*)$", requirements, flags=re.MULTILINE)[2] == card.data.sdk_version
        assert space_files()["packages.txt"].split() == [b"ffmpeg"]

    def test_hold_no_training_and_no_links(self):
        assert {path.partition("/")[0] for path in space_files()} == {
            "LICENSE",
            "README.md",
            "app.py",
            "packages.txt",
            "page",
            "requirements.txt",
            "ser_model",
        }
        assert not [path for path in space_files() if "__pycache__" in path]


class TestSending:
    def test_only_what_changed_is_sent(self, hub_client, hub_server):
        send_files()
        changed = FILES | {"config.json": b'{"labels": 8}'}
        assert send_files(changed).changed == 1
        assert_there(hub_server, changed, ("Publish", "Publish", "initial commit"))
        assert hub_server.requests_to("*/commit/*")[-1].received_bytes < 300
        assert len(hub_server.requests_to("/lfs/*")) == 1

    def test_what_is_ours_and_gone_is_deleted(self, hub_client, hub_server):
        others = {"figures/old.png": b"a picture", "training_args.bin": b"a pickle", "notes.md": b"of the owner"}
        send_files(FILES | others)
        send_files()
        assert_there(hub_server, FILES | {"notes.md": b"of the owner"}, ("Publish", "Publish", "initial commit"))

    def test_tag_of_other_files_stays_where_it_is(self, hub_client, hub_server):
        send_files(tag="v1")
        commit = hub_server.repository(REPO_ID).tags["v1"]
        with pytest.raises(HubError, match=r"v1 marks other files .* another --revision"):
            send_files(FILES | {"config.json": b'{"labels": 8}'}, tag="v1")
        assert_there(hub_server, FILES)
        assert hub_server.repository(REPO_ID).tags == {"v1": commit}

    def test_second_tag_needs_no_commit(self, hub_client, hub_server):
        first = send_files(tag="v1")
        assert send_files(tag="v2").commit == first.commit
        assert_there(hub_server, FILES)
        assert hub_server.repository(REPO_ID).tags == {"v1": first.commit, "v2": first.commit}

    def test_private_is_not_taken_for_granted(self, hub_client, hub_server):
        hub_client.create_repo(REPO_ID, private=False)
        with pytest.raises(HubError, match="there and public"):
            send(FILES, Repository(REPO_ID, private=True), message="Publish")
        assert hub_server.commit_titles(REPO_ID) == ["initial commit"]

    @pytest.mark.parametrize("repo_id", ["name", "a/b/c", "/name", "owner/"])
    def test_name_without_an_owner_is_refused(self, repo_id):
        with pytest.raises(ValueError, match="OWNER/NAME"):
            Repository(repo_id)

    def test_broken_card_is_refused_before_anything_is_sent(self, hub_client, hub_server):
        with pytest.raises(ValueError, match='"model-index" must be an array'):
            send_files(FILES | {"README.md": b"---\nmodel-index: 96 %\n---\n"})
        assert hub_server.requests_to("*/preupload/*") == []


class TestTokens:
    def test_without_one_nothing_is_asked(self, hub_client, hub_server, monkeypatch):
        monkeypatch.delenv("HF_TOKEN")
        with pytest.raises(HubError, match=r"no token\. Set HF_TOKEN"):
            send_files()
        assert hub_server.requests == []

    def test_unknown_one(self, hub_client, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_nobodys")
        with pytest.raises(HubError, match=r"401.*does not accept the token"):
            send_files()

    def test_one_that_may_only_read(self, hub_client, hub_server, monkeypatch):
        send_files()
        hub_server.add_user("tester", "hf_reader", role="read")
        monkeypatch.setenv("HF_TOKEN", "hf_reader")
        with pytest.raises(HubError, match=r"403.*role “write”"):
            send_files(FILES | {"config.json": b"[]"})
        assert_there(hub_server, FILES)

    def test_one_of_somebody_else(self, hub_client):
        with pytest.raises(HubError, match=r"403.*may not write there.*somebody/model"):
            send(FILES, Repository("somebody/model"), message="Publish")


class TestFailures:
    @pytest.mark.parametrize("address", ADDRESSES)
    @pytest.mark.parametrize(
        ("status", "advice"), [(401, "does not accept the token"), (403, "may not write"), (404, "no such repository")]
    )
    def test_refusal_is_explained_and_a_second_try_succeeds(
        self, hub_client, hub_server, waits, address, status, advice
    ):
        hub_server.fail_next(ADDRESSES[address], status=status)
        with pytest.raises(HubError, match=advice):
            send_files(tag="v1")
        assert waits == []
        send_files(tag="v1")
        assert_there(hub_server, FILES)
        assert set(hub_server.repository(REPO_ID).tags) == {"v1"}

    @pytest.mark.parametrize("address", ADDRESSES)
    @pytest.mark.parametrize("status", [429, 500, 503, None])
    def test_busy_hub_is_asked_again(self, hub_client, hub_server, waits, address, status):
        hub_server.fail_next(ADDRESSES[address], status=status, headers={"Retry-After": "7"})
        send_files(tag="v1")
        assert_there(hub_server, FILES)
        assert set(hub_server.repository(REPO_ID).tags) == {"v1"}

    @pytest.mark.parametrize(("headers", "expected"), [({"Retry-After": "7"}, [7.0, 7.0]), ({}, [2.0, 4.0])])
    def test_waits_as_long_as_told(self, hub_client, hub_server, waits, headers, expected):
        hub_server.fail_next("*/commit/*", status=429, headers=headers, times=2)
        send_files()
        assert waits == expected
        assert_there(hub_server, FILES)

    @pytest.mark.parametrize("status", [409, 429, 500, None])
    def test_hub_that_keeps_failing_is_left_with_nothing_half_done(self, hub_client, hub_server, waits, status):
        hub_server.fail_next("*/commit/*", status=status, times=TRIES)
        with pytest.raises(HubError, match="Run the command again"):
            send_files()
        assert len(waits) == TRIES - 1
        assert hub_server.commit_titles(REPO_ID) == ["initial commit"]
        send_files()
        assert_there(hub_server, FILES)
        assert len(hub_server.requests_to("/lfs/*")) == 1

    @pytest.mark.parametrize("status", [500, None])
    def test_upload_that_breaks_in_the_middle_is_sent_again(self, hub_client, hub_server, waits, status):
        hub_server.fail_next("/lfs/*", status=status, after_bytes=100_000)
        send_files()
        assert len(hub_server.requests_to("/lfs/*", method="PUT")) == 2
        assert_there(hub_server, FILES)

    def test_upload_that_keeps_breaking_leaves_no_commit(self, hub_client, hub_server, waits):
        hub_server.fail_next("/lfs/*", times=CLIENT_TRIES, after_bytes=100_000)
        with pytest.raises(HubError, match=r"model\.safetensors.*connection failed.*Run the command again"):
            send_files()
        assert hub_server.commit_titles(REPO_ID) == ["initial commit"]
        send_files()
        assert_there(hub_server, FILES)

    @pytest.mark.parametrize("in_answer", [False, True])
    def test_commit_that_is_cut_is_made_once(self, hub_client, hub_server, waits, in_answer):
        """Cut in the answer, it was made, and the second try must see that."""
        hub_server.fail_next("*/commit/*", in_answer=in_answer)
        send_files(tag="v1")
        assert_there(hub_server, FILES)
        assert hub_server.repository(REPO_ID).tags == {"v1": hub_client.model_info(REPO_ID).sha}


class TestPushOfATraining:
    """`--set training.push_to_hub=true`."""

    CHANGES = (
        "training.num_train_epochs=1",
        "training.disable_tqdm=true",
        "network.lstm_sizes=[8,8]",
        "training.push_to_hub=true",
        f"training.hub_model_id={REPO_ID}",
    )
    SPEAKERS = ("ravdess-01", "ravdess-02", "ravdess-03", "ravdess-24")  # the last is a test speaker

    def fit(self, folder: Path, *changes: str) -> int:
        settings = [part for change in self.CHANGES + changes for part in ("--set", change)]
        roots = ["--corpora-root", str(folder), "--output", str(folder / "run")]
        return main(["fit", "ravdess_lstm", *roots, *settings])

    def test_sends_what_publish_sends(self, hub_client, hub_server, tmp_path, monkeypatch):
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
        monkeypatch.setattr(
            "train.publish.publishing.exported_files", lambda checkpoint: {}
        )  # which takes half a minute
        make_corpus("ravdess", tmp_path, speakers=self.SPEAKERS, clips_per_label=1, duration_s=0.25)
        assert self.fit(tmp_path, "training.hub_private_repo=true") == 0
        assert_there(hub_server, model_files(tmp_path / "run", REPO_ID), ("Publish the model", "initial commit"))
        assert hub_server.repository(REPO_ID).private
        assert not list((tmp_path / "run").rglob("training_args.bin"))

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ("training.hub_token=hf_secret", "stored with the checkpoint"),
            ("training.hub_model_id=null", "give training.hub_model_id=OWNER/NAME"),
            ("training.hub_strategy=checkpoint", "can only be end"),
        ],
    )
    def test_what_could_go_wrong_is_refused_at_once(self, tmp_path, capsys, change, words):
        make_corpus("ravdess", tmp_path, speakers=self.SPEAKERS, clips_per_label=1, duration_s=0.25)
        assert self.fit(tmp_path, change) == 1
        assert words in capsys.readouterr().err
