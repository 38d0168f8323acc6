# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Datasets of a Hub on loopback, and Parquet files in a folder, as corpora: columns, labels, cache, errors."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Audio, ClassLabel, Dataset, Value
from huggingface_hub import HfApi

from tests.hub_server import client_waits, hub_client, hub_datasets, hub_server
from tests.train.generated_tables import make_table, push_table, write_shards
from train.__main__ import main
from train.data import CorpusError, load_corpora, load_corpus
from train.data.audio_tables import open_table, parse_address
from train.data.network import NoConnectionError
from train.fit.recipe import load_recipe
from train.fit.training import load_splits


REPO_ID = "tester/emotions"
NAME = f"hub:{REPO_ID}"
SPEAKERS = 6
SHARDS = 3

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning", "ignore:Warnings while validating")


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Dataset:
    return make_table(tmp_path_factory.mktemp("corpora"), speakers=SPEAKERS)


@pytest.fixture
def published(hub_client, hub_datasets, table, tmp_path) -> HfApi:
    """The Hub with the table in three shards."""
    push_table(hub_client, table, REPO_ID, tmp_path / "push", SHARDS)
    return hub_client


def fetched_sound(server) -> list[str]:
    """Requests for more than the end of a Parquet file, where its list of contents is."""
    requests = [one for one in server.requests_to("*.parquet", "GET") if one.status == 206]
    return [one.path for one in requests if not whole_end(one.headers["range"])]


def whole_end(span: str) -> bool:
    first, last = map(int, span.removeprefix("bytes=").split("-"))
    return last - first < 2**16


def test_a_dataset_of_the_hub_is_a_corpus(published, table, tmp_path):
    corpus = load_corpus(NAME, tmp_path)
    assert corpus.features["label"].names == list(load_corpus("parquet:push", tmp_path).features["label"].names)
    expected = table.cast_column("audio", Audio(decode=False))
    assert len(corpus) == len(expected)
    by_content = {Path(row["path"]).read_bytes(): row for row in corpus}
    names = {"anger": "angry", "fear": "fearful", "happiness": "happy", "sadness": "sad", "surprise": "surprised"}
    for row in expected:
        found = by_content[row["audio"]["bytes"]]
        emotion = expected.features["emotion"].int2str(row["emotion"])
        assert corpus.features["label"].int2str(found["label"]) == names.get(emotion, emotion)
        assert found["speaker"] == f"tester_emotions-{row['speaker_id']}"
        assert (found["sex"], found["sentence"]) == (row["gender"], row["text"])
        assert (found["corpus"], found["language"]) == ("tester_emotions", "unknown")
        assert Path(found["path"]).suffix == ".wav"


def test_labels_are_mapped_as_in_any_corpus(published, tmp_path):
    labels = ["angry", "happy", "neutral"]
    corpus = load_corpora([NAME], tmp_path, labels=labels, label_map={"calm": "neutral"})
    counts = [corpus["label"][:].count(index) for index in range(3)]
    assert counts == [2 * SPEAKERS, 2 * SPEAKERS, 4 * SPEAKERS]


def test_clips_are_fetched_once(published, hub_server, tmp_path):
    first = load_corpus(NAME, tmp_path)
    before = len(hub_server.requests)
    assert len(fetched_sound(hub_server)) >= SHARDS
    assert load_corpus(NAME, tmp_path)[:] == first[:]
    later = hub_server.requests[before:]
    hub_server.requests[:] = later
    assert not fetched_sound(hub_server)


def test_without_a_network_the_stored_clips_are_used(published, hub_server, tmp_path, caplog, client_waits):
    first = load_corpus(NAME, tmp_path)
    hub_server.fail_next("*", times=1000)
    assert load_corpus(NAME, tmp_path)[:] == first[:]
    assert "cannot be reached; the version of the last time is used" in caplog.text
    with pytest.raises(NoConnectionError, match=r"the connection to hub:tester/other failed .* Check the network"):
        load_corpus("hub:tester/other", tmp_path)


def test_a_new_version_is_fetched(published, table, tmp_path):
    assert len(load_corpus(NAME, tmp_path)) == len(table)
    first = published.dataset_info(REPO_ID).sha
    published.delete_file("data/train-00000-of-00003.parquet", REPO_ID, repo_type="dataset")
    assert len(load_corpus(NAME, tmp_path)) == len(table) * 2 // 3
    assert len(load_corpus(f"{NAME}@{first}", tmp_path)) == len(table)


def test_a_cut_download_goes_on_with_the_next_shard(published, hub_server, tmp_path, table, client_waits, monkeypatch):
    monkeypatch.setattr("datasets.config.STREAMING_READ_MAX_RETRIES", 1)
    opened = open_table(parse_address(NAME, tmp_path))
    list(opened.rows())  # every file's list of contents is known, and nothing is stored
    hub_server.fail_next("*/train-00001-*", status=500, times=100, method="GET")
    with pytest.raises(CorpusError, match=rf"tester_emotions: {NAME} answered 500"):
        load_corpus(NAME, tmp_path)
    while hub_server.failures_to_come:
        hub_server.take_fault("GET", "/train-00001-")
    hub_server.requests.clear()
    assert len(load_corpus(NAME, tmp_path)) == len(table)
    assert not any("train-00000" in path for path in fetched_sound(hub_server))


def test_configurations(hub_client, hub_datasets, table, tmp_path):
    push_table(hub_client, table, REPO_ID, tmp_path / "push", SHARDS)
    for name, rows in (("small", range(10)), ("large", range(30))):
        write_shards(table.select(rows), tmp_path / "push" / name, 1)
    card = "---\nconfigs:\n" + "".join(
        f"- config_name: {name}\n  data_files: {name}/*.parquet\n" for name in ("small", "large")
    )
    (tmp_path / "push" / "README.md").write_text(card + "---\n")
    hub_client.upload_folder(repo_id=REPO_ID, repo_type="dataset", folder_path=tmp_path / "push")
    assert len(load_corpus(f"{NAME}:small", tmp_path)) == 10
    assert len(load_corpus(f"{NAME}:large", tmp_path)) == 30
    with pytest.raises(CorpusError, match=r"Config name is missing|Please pick one among"):
        load_corpus(NAME, tmp_path)
    with pytest.raises(CorpusError, match=r"BuilderConfig 'none' not found.*small"):
        load_corpus(f"{NAME}:none", tmp_path)


def test_all_splits_count(hub_client, hub_datasets, table, tmp_path):
    hub_client.create_repo(REPO_ID, repo_type="dataset")
    for split, rows in (("train", range(20)), ("test", range(20, 30))):
        table.select(rows).to_parquet(tmp_path / "push" / "data" / f"{split}-00000-of-00001.parquet")
    hub_client.upload_folder(repo_id=REPO_ID, repo_type="dataset", folder_path=tmp_path / "push")
    assert len(load_corpus(NAME, tmp_path)) == 30


def write_table(folder: Path, columns: dict, name: str = "train") -> str:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return f"parquet:{folder}"


def clips(count: int) -> list[dict]:
    return [{"bytes": bytes([number]) * 500, "path": f"clip{number}.flac"} for number in range(count)]


def test_columns_without_the_marks_of_datasets(hub_datasets, tmp_path):
    """As pandas writes them: a struct, text, no speaker; names in capitals."""
    name = write_table(tmp_path / "plain", {"Audio": clips(3), "Label": ["ANGER", " joy ", "Neutral"]})
    corpus = load_corpus(name, tmp_path)
    assert [corpus.features["label"].int2str(label) for label in corpus["label"]] == ["angry", "happy", "neutral"]
    assert set(corpus["speaker"]) == {"plain-unknown"}
    assert [Path(path).suffix for path in corpus["path"]] == [".flac"] * 3


def test_clips_as_bare_bytes(hub_datasets, tmp_path):
    content = [clip["bytes"] for clip in clips(2)]
    name = write_table(tmp_path / "bare", {"audio": content, "emotion": ["sad", "fear"], "speaker": ["a", "b"]})
    corpus = load_corpus(name, tmp_path)
    assert [Path(path).read_bytes() for path in corpus["path"]] == content
    assert corpus["speaker"][:] == ["bare-a", "bare-b"]


def test_rows_without_a_label_or_a_clip_are_left_out(hub_datasets, tmp_path):
    columns = {"audio": [*clips(2), None, {"bytes": None, "path": "x.wav"}], "label": ["sad", None, "sad", "sad"]}
    corpus = load_corpus(write_table(tmp_path / "holes", columns), tmp_path)
    assert len(corpus) == 1


@pytest.mark.parametrize("text", ["NaN", "none", " <NA> "])
def test_text_for_a_missing_label_is_refused(hub_datasets, tmp_path, text):
    name = write_table(tmp_path / "gaps", {"audio": clips(3), "label": ["sad", text, "happy"]})
    with pytest.raises(CorpusError, match=f"{name}: the label '{text.strip()}' stands for a value that is not there"):
        load_corpus(name, tmp_path)


def test_text_for_a_missing_label_is_refused_on_the_hub(hub_client, hub_datasets, tmp_path):
    """Also where it has become the name of a class."""
    rows = Dataset.from_dict({"audio": clips(3), "emotion": ["sad", "nan", "happy"]}).class_encode_column("emotion")
    push_table(hub_client, rows, REPO_ID, tmp_path / "push", 1)
    with pytest.raises(CorpusError, match=f"{NAME}: the label 'nan' stands for a value that is not there"):
        load_corpus(NAME, tmp_path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sound": [b"x"], "label": ["sad"]}, r"no column is named 'audio'. Its columns are sound \(binary\), label"),
        (
            {"audio": [b"x"], "mood": ["sad"]},
            r"no column is named 'emotion' or 'label'. Its columns are audio \(binary\)",
        ),
        ({"audio": [b"x"], "label": [3]}, r"the labels in 'label' have no names. Its columns are .*label \(int64\)"),
        ({"audio": ["x.wav"], "label": ["sad"]}, r"the column 'audio' holds no files of sound. .*audio \(string\)"),
    ],
)
def test_columns_that_do_not_fit(hub_datasets, tmp_path, columns, message):
    with pytest.raises(CorpusError, match=message):
        load_corpus(write_table(tmp_path / "odd", columns), tmp_path)


def test_no_such_dataset_and_a_private_one(hub_client, hub_datasets, hub_server, table, tmp_path, monkeypatch):
    with pytest.raises(CorpusError, match=r"there is no hub:tester/none, or it is private or gated .* HF_TOKEN"):
        load_corpus("hub:tester/none", tmp_path)
    push_table(hub_client, table, "tester/secret", tmp_path / "push", private=True)
    monkeypatch.setenv("HF_TOKEN", "hf_token_of_stranger")
    hub_server.add_user("stranger", "hf_token_of_stranger")
    with pytest.raises(CorpusError, match="there is no hub:tester/secret, or it is private or gated"):
        load_corpus("hub:tester/secret", tmp_path)
    monkeypatch.setenv("HF_TOKEN", hub_server.token)
    assert len(load_corpus("hub:tester/secret", tmp_path)) == len(table)


def test_a_dataset_of_another_kind(hub_client, hub_datasets, tmp_path):
    hub_client.create_repo(REPO_ID, repo_type="dataset")
    with pytest.raises(CorpusError, match=f"{NAME}: .*doesn't contain any data files"):
        load_corpus(NAME, tmp_path)
    hub_client.upload_file(path_or_fileobj=b"a,b\n1,2\n", path_in_repo="x.csv", repo_id=REPO_ID, repo_type="dataset")
    with pytest.raises(CorpusError, match=rf"{NAME} has no Parquet files.*hub:{REPO_ID}@refs/convert/parquet"):
        load_corpus(NAME, tmp_path)


@pytest.mark.parametrize("name", ["hub:name", "hub:", "hub:a/b/c", "hub:a b/c"])
def test_an_address_that_is_none(tmp_path, name):
    with pytest.raises(CorpusError, match="is no dataset; expected is hub:OWNER/NAME"):
        load_corpus(name, tmp_path)


def test_a_folder_of_parquet_files(hub_datasets, table, tmp_path):
    write_shards(table, tmp_path / "shards")
    assert len(load_corpus("parquet:shards", tmp_path)) == len(table)
    assert len(load_corpus(f"parquet:{tmp_path}/shards/train-00000-of-00003.parquet", tmp_path)) == len(table) // 3
    with pytest.raises(CorpusError, match=r"there is no such file or folder. It should hold .parquet files"):
        load_corpus("parquet:none", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"there is no .parquet file in"):
        load_corpus("parquet:empty", tmp_path)


def test_a_table_may_not_take_the_name_of_a_known_corpus(hub_datasets, table, tmp_path):
    write_shards(table, tmp_path / "ravdess")
    with pytest.raises(CorpusError, match=r"the name 'ravdess' belongs to RAVDESS. .* rename the parquet"):
        load_corpus("parquet:ravdess", tmp_path)


TINY = ["network.lstm_sizes=[8]", "training.num_train_epochs=1", "training.learning_rate=0.01"]


def test_without_speakers_only_a_random_split_is_possible(hub_datasets, table, tmp_path):
    write_shards(table.remove_columns(["speaker_id"]), tmp_path / "shards")
    recipe = load_recipe("ravdess_lstm", ["corpora=[parquet:shards]", "split=speakers"])
    with pytest.raises(CorpusError, match=r"no clip says who speaks.*--set split=random .*speakers seen in training"):
        load_splits(recipe, tmp_path, 0)
    recipe = load_recipe("ravdess_lstm", ["corpora=[parquet:shards]", "split=random"])
    splits = load_splits(recipe, tmp_path, 0)
    assert sum(len(splits[part]) for part in ("train", "validation", "test")) == len(table)


def test_train_and_evaluate_by_command(hub_client, hub_datasets, table, tmp_path, monkeypatch):
    """Without a folder of corpora; of the unknown speakers some are heard in training, whatever is tested on."""
    monkeypatch.delenv("SER_CORPORA", raising=False)
    push_table(hub_client, table.remove_columns(["speaker_id"]), REPO_ID, tmp_path / "push")
    settings = [*TINY, "training.disable_tqdm=true", "split=random"]
    options = [argument for setting in settings for argument in ("--set", setting)]
    assert main(["fit", "ravdess_lstm", "--corpora", NAME, "--output", str(tmp_path / "run"), *options]) == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["protocol"] == "speakers seen in training"
    evaluate = ["evaluate", str(tmp_path / "run"), "--corpora", NAME, "--output", str(tmp_path / "again")]
    assert main([*evaluate, "--split", "all"]) == 0
    result = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert result["protocol"] == "speakers seen in training"
    assert result["corpora"]["tester_emotions"]["clips"] == len(table)
    assert main(evaluate) == 0
    fitted, again = (json.loads((tmp_path / run / "metrics.json").read_text()) for run in ("run", "again"))
    assert (again["clips"], again["uar"]) == (fitted["clips"], fitted["uar"])
