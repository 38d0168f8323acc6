"""Kaggle on loopback for tests, as far as kagglehub asks for it: one dataset with one archive."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class KaggleServer(ThreadingHTTPServer):
    """Serves one archive as one dataset, in a thread of its own from `with` to the end of it.

    Attributes:
        handle: OWNER/NAME of the dataset.
        archive: its content.
        cut_after: number of bytes after which the next download breaks off, or None.
        ranges: the ranges that downloads asked for, None for a whole one.
    """

    def __init__(self, handle: str, archive: bytes):
        super().__init__(("127.0.0.1", 0), KaggleRequestHandler)
        self.handle, self.archive = handle, archive
        self.cut_after: int | None = None
        self.ranges: list[str | None] = []
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> "KaggleServer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class KaggleRequestHandler(BaseHTTPRequestHandler):
    """Answers GetDataset, redirects DownloadDataset to the file, and serves the file, whole or from a byte on."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if f"{asked['ownerSlug']}/{asked['datasetSlug']}" != self.server.handle:
            self.answer(404, json.dumps({"code": 404, "message": "Not found"}).encode())
        elif self.path.endswith("/GetDataset"):
            self.answer(200, json.dumps({"currentVersionNumber": 1}).encode())
        else:
            self.answer(302, b"", {"Location": f"{self.server.endpoint}/archive.zip"})

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        content, cut = self.server.archive[start:], self.server.cut_after
        self.server.cut_after = None
        self.answer(206 if asked else 200, content, {"Accept-Ranges": "bytes"}, cut)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        kind = "application/zip" if self.command == "GET" else "application/json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut])

    def log_message(self, format: str, *values: object) -> None:
        """Nothing on standard error."""


def connect_kagglehub(monkeypatch: pytest.MonkeyPatch, server: KaggleServer, cache: Path) -> None:
    """Point the kagglehub of this process at a server, with an empty cache and without an account."""
    from kagglesdk import kaggle_env

    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, server.endpoint)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(cache))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(cache / "no_account"))
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def kaggle_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """A server without an archive, and kagglehub connected to it."""
    with KaggleServer("owner/corpus", b"") as server:
        connect_kagglehub(monkeypatch, server, tmp_path / "kaggle")
        yield server
