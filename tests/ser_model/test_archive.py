"""Archives: the table is that of the recogniser, whatever is killed meanwhile; nothing is lost, nothing twice."""

import codecs
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from filelock import FileLock

from ser_model import EmotionRecognizer
from ser_model.__main__ import main
from ser_model.archive import COLUMNS, ArchiveError, score_archive
from train.augment.voice import RATE, speech_like


CLIPS = 96
CHUNK_WITHIN = 120  # seconds for a process to load the model and score a few clips


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Short clips, a silent one, and one that is no recording."""
    folder = tmp_path_factory.mktemp("archive")
    voice = speech_like(4.0, seed=1)
    for index in range(CLIPS):
        start = 100 * index
        soundfile.write(folder / f"clip {index:02d} ü.wav", voice[start : start + RATE + 200 * index], RATE)
    soundfile.write(folder / "silent.flac", np.zeros(RATE), RATE)
    (folder / "text.wav").write_text("no recording")
    return folder


@pytest.fixture(scope="module")
def recordings(folder) -> list[str]:
    return sorted(str(path) for path in folder.iterdir())


@pytest.fixture(scope="module")
def whole(recordings, tmp_path_factory) -> pd.DataFrame:
    """The table that nothing interrupted."""
    output = tmp_path_factory.mktemp("whole") / "scores.parquet"
    score_archive(recordings, output)
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    return pd.read_parquet(output)


def test_rows_are_the_recognisers_answers(whole, recordings):
    assert whole["path"].tolist() == recordings
    recognizer = EmotionRecognizer.from_pretrained(num_threads=1)
    for path in recordings[:6]:
        prediction = recognizer.predict(path)
        row = whole.set_index("path").loc[path]
        assert row["emotion"] == prediction.label
        assert list(row["candidates"]) == list(prediction.candidates)
        scores = [row[f"score_{label}"] for label in recognizer.labels]
        np.testing.assert_allclose(scores, list(prediction.scores.values()), atol=1e-5)


def test_what_is_silent_or_no_recording_has_a_row(whole, folder):
    rows = whole.set_index("path")
    assert rows.loc[str(folder / "silent.flac"), "emotion"] == "no speech"
    assert "recording" in rows.loc[str(folder / "text.wav"), "error"]
    assert whole["error"].notna().sum() == 1


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_other_formats_hold_the_same(whole, recordings, tmp_path, suffix, capsys):
    output = tmp_path / f"scores{suffix}"
    assert main([*recordings, "--output", str(output), "--workers", "2"]) == 1  # one is no recording
    assert f"{len(recordings)} recordings scored now, 0 before; 1 cannot be used" in capsys.readouterr().out
    assert output.read_bytes().startswith(codecs.BOM_UTF8) == (suffix == ".csv")  # by which Excel knows UTF-8
    table = pd.read_csv(output) if suffix == ".csv" else pd.read_json(output, lines=True)
    assert list(table) == list(whole)
    assert list(table)[: len(COLUMNS)] == list(COLUMNS)
    assert table["path"].tolist() == recordings
    assert table["emotion"].fillna("").tolist() == whole["emotion"].fillna("").tolist()
    np.testing.assert_allclose(table["score_sad"], whole["score_sad"], atol=1e-5)


def begin(recordings: list[str], output: Path) -> subprocess.Popen:
    """A process that scores, seen to have begun."""
    command = [sys.executable, "-m", "ser_model", *recordings, "--output", str(output), "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    journal, end = output.with_name(output.name + ".part"), time.monotonic() + CHUNK_WITHIN
    while not (journal.is_file() and journal.read_bytes().count(b"\n") > 1):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.002)
    return process


def children(process: subprocess.Popen) -> list[int]:
    """Processes that a process started and that run."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    return [int(pid) for pid in listed.stdout.split()]


def test_killed_run_goes_on(whole, recordings, tmp_path):
    output = tmp_path / "scores.parquet"
    process = begin(recordings, output)
    workers = children(process)
    process.kill()
    process.communicate()
    journal = output.with_name("scores.parquet.part")
    before = journal.read_bytes().count(b"\n") - 1
    with open(journal, "a") as file:
        file.write('{"path": "cut in the mid')
    assert not output.exists()
    outcome = score_archive(recordings, output)
    assert (outcome.scored, outcome.before) == (len(recordings) - before, before)
    assert 0 < before < len(recordings)
    pd.testing.assert_frame_equal(pd.read_parquet(output), whole, atol=1e-5)
    assert not journal.exists()
    end = time.monotonic() + CHUNK_WITHIN
    while any(runs(pid) for pid in workers):  # nothing of the killed run is left behind
        assert time.monotonic() < end
        time.sleep(0.05)


def runs(pid: int) -> bool:
    """True if a process runs; one that has ended may still be listed, as a zombie."""
    try:
        return " Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except FileNotFoundError:
        return False


def test_killed_worker_loses_nothing(whole, recordings, tmp_path):
    output = tmp_path / "scores.parquet"
    process = begin(recordings, output)
    for pid in children(process):
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            break
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "Start again: nothing is lost" in errors
    assert score_archive(recordings, output).before > 0
    pd.testing.assert_frame_equal(pd.read_parquet(output), whole, atol=1e-5)


def test_changed_recording_is_scored_anew(tmp_path):
    first, second = tmp_path / "a.wav", tmp_path / "b.wav"
    for index, path in enumerate((first, second)):
        soundfile.write(path, speech_like(1.5, seed=index), RATE)
    output = tmp_path / "scores.csv"
    score_archive([str(first), str(second)], output)
    lines = pd.read_csv(output)
    output.unlink()
    assert score_archive([str(first), str(second)], output).before == 0  # a table that is gone is no journal
    output.unlink()
    journal_of([str(first), str(second)], output)
    soundfile.write(first, speech_like(1.5, seed=7), RATE)
    outcome = score_archive([str(first), str(second)], output)
    assert (outcome.scored, outcome.before) == (1, 1)
    assert pd.read_csv(output).loc[0, "confidence"] != lines.loc[0, "confidence"]


def journal_of(recordings: list[str], output: Path) -> None:
    """The journal of a run that was killed before it wrote its table."""
    from ser_model import archive

    def killed(*_arguments) -> None:
        raise KeyboardInterrupt

    write_table, archive.write_table = archive.write_table, killed
    try:
        with pytest.raises(KeyboardInterrupt):
            score_archive(recordings, output)
    finally:
        archive.write_table = write_table


def test_journal_of_another_model_is_refused(recordings, tmp_path):
    output = tmp_path / "scores.csv"
    journal = tmp_path / "scores.csv.part"
    journal.write_text(json.dumps({"backend": None, "sha256": {"model.onnx": "0"}}) + "\n")
    with pytest.raises(ArchiveError, match="begun with another model"):
        score_archive(recordings, output)
    assert journal.exists()


def test_tables_that_cannot_be_written_are_refused_at_once(recordings, tmp_path, capsys):
    assert main([recordings[0], "--output", str(tmp_path / "scores.xlsx")]) == 2
    assert ".parquet, .csv, .jsonl" in capsys.readouterr().err
    (tmp_path / "scores.csv").write_text("precious")
    assert main([recordings[0], "--output", str(tmp_path / "scores.csv")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "scores.csv").read_text() == "precious"
    with FileLock(tmp_path / "other.csv.lock"):
        command = [sys.executable, "-m", "ser_model", recordings[0], "--output", str(tmp_path / "other.csv")]
        result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, "by another process" in result.stderr) == (2, True)
