"""A Hugging Face Hub on loopback for tests: the real huggingface_hub client pushes to it and pulls from it.

    with HubServer() as server:
        api = HfApi(endpoint=server.endpoint, token=server.token)
        api.create_repo("tester/model")
        server.fail_next("*/commit/*", status=429, headers={"Retry-After": "0"})

Within the process of the test, the fixture `hub_client` points huggingface_hub at the server, and `hub_datasets` also
datasets; transformers follows huggingface_hub, except that it keeps the code of repositories (trust_remote_code) in
the folder that was set when it was imported. For that, for the commands of this project, and for anything that must
start with empty caches, start a process with `env=server.environment(home)`: every library takes its settings from
there. Loading a folder of audio files as a dataset needs torchcodec; Parquet with the bytes of the files does not.

hub_storage.py keeps the repositories, hub_routes.py answers the requests, hub_faults.py holds the failures on demand;
here are the sockets, the log of requests, and the fixtures.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import unquote, urlsplit

import huggingface_hub.hf_api
import pytest
from huggingface_hub import HfApi, HfFileSystem, constants

from tests.hub_faults import Fault, Faults
from tests.hub_routes import Request, Response, error_response, find_answer
from tests.hub_storage import DEFAULT_BRANCH, HubError, Repository, Storage, User


LOOPBACK = "127.0.0.1"
READ_BYTES = 16 * 1024
CLIENT_VARIABLES = ("HF_", "HUGGINGFACE_", "HUGGING_FACE_", "TRANSFORMERS_")


@dataclass
class LoggedRequest:
    """A request as it arrived, in the order of the answers. `status` is None when the connection was cut."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    received_bytes: int
    status: int | None

    @property
    def token(self) -> str | None:
        return bearer_token(self.headers)


class HubServer:
    """The server, in a thread of its own from `with` to the end of it.

    Attributes:
        user: name of the account that there is from the start; its repositories are `{user}/...`.
        token: the token of that account, which may write.
        endpoint: `http://127.0.0.1:port`.
        requests: every request so far, oldest first.
        storage: the repositories and accounts.
    """

    def __init__(self, user: str = "tester", token: str = "hf_token_of_tester"):
        self.user = user
        self.token = token
        self.storage = Storage()
        self.requests: list[LoggedRequest] = []
        self._faults = Faults()
        self._storage_lock = threading.Lock()
        self._http_server = LoopbackServer(self)
        self._thread = threading.Thread(target=self._http_server.serve_forever, kwargs={"poll_interval": 0.02})
        self.endpoint = f"http://{LOOPBACK}:{self._http_server.server_port}"
        self.add_user(user, token)

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http_server.shutdown()
        self._http_server.server_close()
        self._thread.join()

    def add_user(self, name: str, token: str, role: str = "write") -> None:
        """Add an account, or another token of one; the role is "write" or "read"."""
        self.storage.users[token] = User(name, role)

    def repository(self, repo_id: str, repo_type: str = "model") -> Repository:
        """A repository as the server keeps it, whoever may see it."""
        return self.storage.repositories[repo_type, repo_id]

    def files(self, repo_id: str, repo_type: str = "model", revision: str = DEFAULT_BRANCH) -> dict[str, bytes]:
        """The content of every file at a revision."""
        commit = self.repository(repo_id, repo_type).resolve(revision)
        return {path: blob.content for path, blob in commit.files.items()}

    def commit_titles(self, repo_id: str, repo_type: str = "model") -> list[str]:
        """The titles of the commits on main, newest first; the last is the Hub's own "initial commit"."""
        return [commit.title for commit in self.repository(repo_id, repo_type).history()]

    def requests_to(self, path_pattern: str, method: str | None = None) -> list[LoggedRequest]:
        """The requests so far whose path (decoded, without the query) a shell-style pattern matches."""
        logged = list(self.requests)
        return [one for one in logged if method in (None, one.method) and fnmatchcase(one.path, path_pattern)]

    def fail_next(
        self,
        path_pattern: str,
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        times: int = 1,
        after_bytes: int = 0,
        method: str | None = None,
        in_answer: bool | None = None,
    ) -> None:
        """Make the next matching request fail.

        Args:
            path_pattern: shell-style pattern for the decoded path, such as `*/commit/*`, `*/resolve/*` or `/lfs/*`.
            status: HTTP status to answer with; None cuts the connection instead.
            headers: more headers of that answer, such as `{"Retry-After": "0"}`.
            times: how many requests fail.
            after_bytes: how much passes before the failure: of the body of the request, in steps of 16 KiB, or of the
                body of the answer, exactly, when a cut strikes the answer.
            method: concern only requests of this method, such as "PUT".
            in_answer: False strikes while the request arrives, and the server does nothing of what was asked; True
                strikes the answer, when all is done but the client never learns it. By default False, for GET and
                HEAD True.
        """
        self._faults.add(Fault(path_pattern, method, status, headers or {}, times, after_bytes, in_answer))

    @property
    def failures_to_come(self) -> int:
        """How many failures were ordered and have not struck yet."""
        return self._faults.count()

    def client_settings(self, home: Path, token: str | None = None) -> dict[str, str]:
        """The environment variables by which clients find this server, keep their caches in `home` and call nobody
        else. The token is that of the server's user; an empty text means none."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_TOKEN": self.token if token is None else token,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "NO_PROXY": LOOPBACK,
            "no_proxy": LOOPBACK,
        }

    def environment(self, home: Path, token: str | None = None) -> dict[str, str]:
        """The environment for a process that is to talk to this server: this process's own, without its settings for
        the Hub, plus `client_settings`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(CLIENT_VARIABLES)}
        return kept | self.client_settings(home, token)

    def take_fault(self, method: str, path: str) -> Fault | None:
        return self._faults.take(method, path)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Response:
        """Do what a request asks, one request at a time."""
        path, query = urlsplit(target).path, urlsplit(target).query
        with self._storage_lock:
            try:
                user = self.storage.user_of(bearer_token(headers))
                answer, parts = find_answer(method, path)
                return answer(self.storage, Request(self.endpoint, query, headers, body, user, parts))
            except HubError as error:
                return error_response(error.status, error.message, error.code)
            except (KeyError, ValueError) as error:
                return error_response(400, f"Malformed request: {error!r}")


class LoopbackServer(ThreadingHTTPServer):
    """Listens on a free port of the loopback interface; one thread per connection, none outlives the process."""

    request_queue_size = 64  # clients open many connections at once: none may wait for the kernel to try again

    def __init__(self, hub: HubServer):
        super().__init__((LOOPBACK, 0), HubRequestHandler)
        self.hub = hub


class HubRequestHandler(BaseHTTPRequestHandler):
    """Reads one request, lets the hub answer it, and carries out the failure that was ordered for it."""

    protocol_version = "HTTP/1.1"

    def serve(self) -> None:
        self.close_connection = True
        self.received_bytes = 0
        fault = self.server.hub.take_fault(self.command, self.decoded_path)
        with suppress(ConnectionError):  # the client may go away at any time, as after a failure it does
            if fault is not None and not fault.strikes_answer(self.command):
                self.fail_while_receiving(fault)
            else:
                self.answer(fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve

    @property
    def decoded_path(self) -> str:
        return unquote(urlsplit(self.path).path)

    @property
    def header_values(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def answer(self, fault: Fault | None) -> None:
        body = b"".join(self.body_chunks())
        response = self.server.hub.answer(self.command, self.path, self.header_values, body)
        if fault is None:
            self.send(response)
        elif fault.status is None:
            self.send_part(response, fault.after_bytes)
        else:
            self.send(fault.response())

    def fail_while_receiving(self, fault: Fault) -> None:
        chunks = self.body_chunks()
        while self.received_bytes < fault.after_bytes and next(chunks, None):
            pass
        if fault.status is None:
            self.log_request_with(None)
            return
        self.send(fault.response())
        for _ in chunks:  # closing with unread bytes would reset the connection and take the answer with it
            pass

    def body_chunks(self) -> Iterator[bytes]:
        """The body of the request, counted in `received_bytes`.

        Raises:
            ConnectionError: when the client goes away in the middle.
        """
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.read_exactly(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            remaining = int(self.headers.get("Content-Length", 0))
            while remaining:
                size = min(remaining, READ_BYTES)
                remaining -= size
                yield self.read_exactly(size)

    def read_exactly(self, size: int) -> bytes:
        chunk = self.rfile.read(size)
        if len(chunk) < size:
            self.log_request_with(None)
            raise ConnectionResetError(f"The client sent {len(chunk)} of {size} bytes")
        self.received_bytes += size
        return chunk

    def send(self, response: Response) -> None:
        self.log_request_with(response.status)
        self.send_head(response)
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def send_part(self, response: Response, size: int) -> None:
        """Cut the connection after so many bytes of the answer's body; with none, or no body, before the answer."""
        self.log_request_with(None)
        if size and self.command != "HEAD":
            self.send_head(response)
            self.wfile.write(response.body[:size])

    def send_head(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in {**response.headers, "Content-Length": str(len(response.body))}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_request_with(self, status: int | None) -> None:
        query = urlsplit(self.path).query
        entry = (self.command, self.decoded_path, query, self.header_values, self.received_bytes, status)
        self.server.hub.requests.append(LoggedRequest(*entry))

    def log_message(self, format: str, *values: object) -> None:
        """Nothing on standard error: the log is `HubServer.requests`."""


def bearer_token(headers: dict[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme == "Bearer" and token else None


def connect_huggingface_hub(monkeypatch: pytest.MonkeyPatch, server: HubServer, home: Path) -> None:
    """Point the huggingface_hub of this process, which read its settings when imported, at a server."""
    for name in [name for name in os.environ if name.startswith(CLIENT_VARIABLES)]:
        monkeypatch.delenv(name)
    for name, value in server.client_settings(home).items():
        monkeypatch.setenv(name, value)
    cache = str(home / "hub")
    settings = {
        "ENDPOINT": server.endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": server.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HOME": str(home),
        "HF_HUB_CACHE": cache,
        "HUGGINGFACE_HUB_CACHE": cache,
        "HF_ASSETS_CACHE": str(home / "assets"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_DISABLE_TELEMETRY": True,
    }
    for name, value in settings.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", server.endpoint)
    HfFileSystem.clear_instance_cache()


@pytest.fixture
def hub_server() -> Iterator[HubServer]:
    """A Hub without repositories, with one account."""
    with HubServer() as server:
        yield server


@pytest.fixture
def hub_client(hub_server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HfApi:
    """The API of the server's user; huggingface_hub's own functions talk to the server as well, with empty caches."""
    connect_huggingface_hub(monkeypatch, hub_server, tmp_path / "hub_home")
    return HfApi(endpoint=hub_server.endpoint, token=hub_server.token)


@pytest.fixture
def hub_datasets(hub_client: HfApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The datasets library, loading from the server, with an empty cache."""
    datasets = pytest.importorskip("datasets")
    endpoint = hub_client.endpoint
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", endpoint)
    monkeypatch.setattr(
        datasets.config, "HUB_DATASETS_URL", endpoint + "/datasets/{repo_id}/resolve/{revision}/{path}"
    )
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub_home" / "datasets")
    monkeypatch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    return datasets


@pytest.fixture
def client_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds for which huggingface_hub would have waited before it tries again; it does not wait."""
    waits: list[float] = []
    clock = SimpleNamespace(sleep=waits.append)
    monkeypatch.setattr("huggingface_hub.utils._http.time", clock)
    monkeypatch.setattr("huggingface_hub.file_download.time", clock)
    return waits
