"""A cluster scores what one machine scores, whatever ends meanwhile; nothing is lost, nothing twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import soundfile
from datasets import Audio, Dataset
from ray.cluster_utils import Cluster

from ser_model.archive import score_archive
from train.augment.voice import RATE, speech_like


CLIPS = 640
WORKER = {"num_cpus": 3, "memory": 1 << 33, "object_store_memory": 1 << 28}  # they need not be there


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Short clips, and one that is no recording."""
    folder = tmp_path_factory.mktemp("clips")
    voice = speech_like(10.0, seed=1)
    for index in range(CLIPS - 1):
        start = 200 * index
        soundfile.write(folder / f"clip {index:03d} ü.wav", voice[start : start + RATE + 20 * index], RATE)
    (folder / "text.wav").write_text("no recording")
    return folder


@pytest.fixture(scope="module")
def whole(clips, tmp_path_factory) -> pd.DataFrame:
    """The table of one machine."""
    output = tmp_path_factory.mktemp("whole") / "scores.parquet"
    score_archive(sorted(map(str, clips.iterdir())), output)
    return pd.read_parquet(output)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that computes nothing, and one worker."""
    head = {"num_cpus": 0, "include_dashboard": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # or its processes starve beside other tests
        cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)  # that takes SIGTERM
        try:
            cluster.add_node(**WORKER)
            yield cluster
        finally:
            cluster.shutdown()


def start(cluster: Cluster, log: Path, *arguments: str | Path) -> subprocess.Popen:
    """The script, started."""
    with log.open("a") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "scripts.score_with_ray", *arguments],
            env=os.environ | {"RAY_ADDRESS": cluster.address},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )


def written(folder: Path) -> int:
    """Files of the table that are there."""
    return len(list(folder.glob("*.parquet")))


def wait_for(process: subprocess.Popen, log: Path, files: int, output: Path) -> None:
    """Return as soon as a running script has written more files than `files`."""
    while written(output) <= files:
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)


def test_a_run_and_a_machine_that_end_lose_nothing(cluster, clips, whole, tmp_path):
    output, log = tmp_path / "scores", tmp_path / "log"
    other = cluster.add_node(**WORKER)
    first = start(cluster, log, clips, output)
    wait_for(first, log, 0, output)
    first.kill()
    assert first.wait() == -signal.SIGKILL  # it had not ended by itself
    before = written(output)
    second = start(cluster, log, clips, output)
    wait_for(second, log, before, output)
    cluster.remove_node(other, allow_graceful=False)
    between = written(output)
    assert second.wait() == 0, log.read_text()
    assert 0 < before < between < written(output)
    scores = pd.read_parquet(output).sort_values("path", ignore_index=True)
    assert scores["error"].notna().sum() == 1
    pd.testing.assert_frame_equal(scores.drop(columns="error"), whole.drop(columns="error"), atol=1e-5)


def test_shards_of_a_dataset_keep_their_columns(cluster, whole, tmp_path):
    rows = whole[whole["error"].isna()].head(20)
    sounds = [{"bytes": Path(path).read_bytes(), "path": path} for path in rows["path"]]
    shards = Dataset.from_dict({"audio": sounds, "emotion": range(len(rows))}).cast_column(
        "audio", Audio(decode=False)
    )
    (tmp_path / "data").mkdir()
    for index in range(2):
        shards.shard(2, index).to_parquet(tmp_path / "data" / f"train-{index:05d}-of-00002.parquet")
    script = start(cluster, tmp_path / "log", tmp_path / "data", tmp_path / "scores", "--audio-column", "audio")
    assert script.wait() == 0, (tmp_path / "log").read_text()
    scores = pd.read_parquet(tmp_path / "scores").sort_values("dataset_emotion", ignore_index=True)
    assert scores["dataset_emotion"].tolist() == list(range(len(rows)))
    pd.testing.assert_frame_equal(scores[rows.columns], rows.reset_index(drop=True), check_dtype=False, atol=1e-5)
