"""Recordings at an address: fetched from public servers, within limits."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from page import fetching, limits
from page.fetching import fetch_web, name_at
from ser_model.audio_io import AudioError


class Handler(BaseHTTPRequestHandler):
    """Serves a small file, an endless one, one that never comes, and addresses that lead to others."""

    ended = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/loop":
            return self.lead("/loop")
        if self.path == "/inside":
            return self.lead("http://10.0.0.1/secret.wav")
        if self.path == "/file":
            return self.lead("file:///etc/hostname")
        self.send_response(404 if self.path == "/missing.wav" else 200)
        self.end_headers()
        if self.path == "/endless.wav":
            while not self.ended.is_set():
                self.wfile.write(bytes(1 << 16))
        elif self.path == "/never.wav":
            self.ended.wait(60)
        else:
            self.wfile.write(b"voice")

    def lead(self, address: str) -> None:
        self.send_response(302)
        self.send_header("location", address)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch) -> Iterator[str]:
    """An address on this machine, which is taken for a public one."""

    async def looked_up(host: str) -> str:
        if host != "voices.example":
            raise ValueError(f"Hostname {host} failed validation")
        return "127.0.0.1"

    monkeypatch.setattr(fetching, "async_validate_url", looked_up)
    Handler.ended.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        served.daemon_threads = True
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://voices.example:{served.server_port}"
        Handler.ended.set()
        served.shutdown()
        thread.join()


def fetched(address: str, folder: Path) -> str:
    return asyncio.run(fetch_web(address, str(folder)))


def test_file_is_fetched(server, tmp_path):
    path = Path(fetched(f"{server}/a/voice%201.wav?x=1", tmp_path))
    assert path.read_bytes() == b"voice"
    assert path.suffix == ".wav"
    assert path.parent.parent == tmp_path


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing.wav", "404"),
        ("/loop", "leads on more than 5 times"),
        ("/inside", "10.0.0.1 failed validation"),
        ("/file", "leads to no server"),
        ("/endless.wav", "larger than 1 MB"),
        ("/never.wav", "longer than 0.5 s"),
    ],
)
def test_what_cannot_be_had_is_told(server, tmp_path, monkeypatch, path, reason):
    monkeypatch.setattr(limits, "RECORDING_MEGABYTES", 1)
    if path == "/never.wav":
        monkeypatch.setattr(limits, "FETCH_SECONDS", 0.5)
    with pytest.raises(AudioError, match="could not be fetched") as caught:
        fetched(server + path, tmp_path)
    assert reason in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/a.wav", "http://[::1]/a.wav", "http://", "https://a b/c"])
def test_servers_that_are_not_public_are_not_asked(tmp_path, address):
    with pytest.raises(AudioError, match="could not be fetched"):
        fetched(address, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "name"),
    [("https://a/b/c.wav?d=e.mp3", "c.wav"), ("https://a/", "a"), ("https://a/..%2f..%2fetc/x", "x")],
)
def test_names(address, name):
    assert name_at(address) == name
