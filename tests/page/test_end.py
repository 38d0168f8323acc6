"""The page is told to end: it answers what was asked, takes nothing new, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from page.work import RESTARTING
from scripts.page_client import PageClient
from scripts.served_page import PROJECT, ServedPage, served_page
from train.augment.voice import RATE, speech_like


PATIENCE = 60  # seconds


def talk(path: Path, minutes: int) -> Path:
    soundfile.write(path, np.tile(speech_like(20.0), 3 * minutes), RATE)
    return path


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def in_background(act: Callable[[], object]) -> tuple[threading.Thread, list]:
    """A thread that does something, and the list that will have what came of it."""
    results = []
    thread = threading.Thread(target=lambda: results.append(act()))
    thread.start()
    return thread, results


def is_busy(page: ServedPage) -> bool:
    return "ser_queue_waiting 1\n" in httpx.get(f"{page.url}metrics").text


def assert_gone(page: ServedPage) -> None:
    """The process has ended by itself, in order, and left no file."""
    assert page.process.wait(PATIENCE) == 0
    assert list(page.temporary.iterdir()) == []
    log = page.log.read_text()
    assert "terminate called" not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_what_was_asked_is_answered_and_nothing_new_taken(checkpoint, tmp_path, name):
    with served_page(tmp_path, checkpoint, METRICS=1, STOP_SECONDS=PATIENCE) as page:
        client = PageClient(page.url)
        recording = client.upload(talk(tmp_path / "talk.wav", 5))
        thread, results = in_background(lambda: client.call("predict", recording))
        wait_for(lambda: is_busy(page))
        page.process.send_signal(name)
        wait_for(lambda: httpx.get(f"{page.url}healthz").status_code == 503)
        refused = httpx.post(f"{page.url}gradio_api/call/predict", json={"data": [recording]})
        assert (refused.status_code, refused.json()["error"]) == (503, RESTARTING)
        thread.join(PATIENCE)
        ((event, (answer,)),) = results
        assert (event, answer["speech"]) == ("complete", True)
        assert_gone(page)


def test_what_takes_too_long_is_given_up(checkpoint, tmp_path):
    """One request is being answered and another waits; both are told, over connections that are not cut."""
    with served_page(tmp_path, checkpoint, METRICS=1, STOP_SECONDS=0.5, AT_ONCE=1) as page:
        client = PageClient(page.url)
        recording = client.upload(talk(tmp_path / "talk.wav", 50))
        asked = [in_background(lambda: client.call("predict", recording)) for _ in range(2)]
        wait_for(lambda: "ser_queue_waiting 2\n" in httpx.get(f"{page.url}metrics").text)
        page.process.terminate()
        for thread, results in asked:
            thread.join(PATIENCE)
            ((event, problem),) = results
            assert (event, problem["error"]) == ("error", RESTARTING)
        assert_gone(page)


def test_page_does_not_wait_for_who_has_left(checkpoint, tmp_path):
    with served_page(tmp_path, checkpoint, METRICS=1, STOP_SECONDS=10 * PATIENCE) as page:
        client = PageClient(page.url)
        body = {"data": [client.upload(talk(tmp_path / "talk.wav", 5))]}
        client.http.post("call/predict", json=body)  # and never fetched
        event = client.http.post("call/predict", json=body).json()["event_id"]
        with client.http.stream("GET", f"call/predict/{event}"):
            wait_for(lambda: "ser_queue_waiting 2\n" in httpx.get(f"{page.url}metrics").text)
        page.process.terminate()
        assert_gone(page)


def test_page_with_open_connections_ends(checkpoint, tmp_path):
    with served_page(tmp_path, checkpoint) as page:
        client = PageClient(page.url)
        wait_for(lambda: httpx.get(f"{page.url}healthz").status_code == 200)
        with client.http.stream("GET", "heartbeat/visitor") as stream:
            next(stream.iter_raw())
            page.process.terminate()
            assert_gone(page)


def test_page_that_is_not_yet_served_ends(tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "app.py"], cwd=PROJECT, env=environment) as process:
        try:
            wait_for(lambda: any(tmp_path.glob("ser-*")))
            process.terminate()
            process.wait(PATIENCE)
        finally:
            process.kill()  # else leaving the block waits for it, however long it runs
    assert list(tmp_path.iterdir()) == []


def test_end_that_an_import_swallows_comes_all_the_same(tmp_path):
    program = "import app, contextlib\nwith contextlib.suppress(SystemExit):\n    app.leave()\napp.serve()\n"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT, env=environment) as process:
        try:
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    assert list(tmp_path.glob("ser-*")) == []


def test_page_starts_without_pytorch(tmp_path):
    program = "import app, os, sys\napp.loading.result()\nos._exit('torch' in sys.modules)\n"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", program], cwd=PROJECT, env=environment, check=False).returncode == 0


def test_page_that_is_still_loading_ends(checkpoint, tmp_path):
    with served_page(tmp_path, checkpoint) as page:
        page.process.terminate()
        assert_gone(page)
