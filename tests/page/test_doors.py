"""The doors of the page: who may come in, how much at once, and what the others are told."""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult

from page import limits
from page.doors import CLOSED
from page.texts import ENGLISH
from scripts.page_client import PageClient, as_file, encoded
from scripts.served_page import PROJECT, ServedPage, served_page
from train.augment.voice import RATE, speech_like


@pytest.fixture(scope="module")
def page(checkpoint, tmp_path_factory) -> Iterator[ServedPage]:
    with served_page(
        tmp_path_factory.mktemp("page"), checkpoint, METRICS=1, BODY_MEGABYTES=1, UPLOADS_OF_ADDRESS_MEGABYTES=2
    ) as page:
        wait_for(lambda: httpx.get(f"{page.url}healthz").status_code == 200)
        yield page
    assert "Traceback" not in page.log.read_text()


@pytest.fixture(scope="module")
def client(page) -> PageClient:
    return PageClient(page.url)


@pytest.fixture(scope="module")
def hour(tmp_path_factory) -> Path:
    """Half an hour of speech: many seconds of work."""
    path = tmp_path_factory.mktemp("hour") / "talk.flac"
    soundfile.write(path, np.tile(speech_like(20.0), 90), RATE)
    return path


def wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lines(page: ServedPage) -> list[dict]:
    """The journal of a page so far."""
    return [json.loads(line) for line in page.log.read_text().splitlines() if line.startswith("{")]


def line_of(page: ServedPage, request_id: str) -> dict:
    """The line of a request, which must be the only one of it."""
    wait_for(lambda: any(line["id"] == request_id for line in lines(page)))
    (line,) = [line for line in lines(page) if line["id"] == request_id]
    return line


def test_health(page, checkpoint):
    health = httpx.get(f"{page.url}healthz")
    assert health.status_code == 200
    assert health.json()["ready"] is True
    assert health.json()["model"] == checkpoint.name
    assert len(health.json()["version"]) == 8


def test_health_of_a_page_without_a_model(checkpoint, tmp_path):
    (tmp_path / "empty").mkdir()
    with served_page(tmp_path, tmp_path / "empty") as page:
        assert PageClient(page.url).call("predict", None)[0] == "error"  # after it was tried to load it
        health = httpx.get(f"{page.url}healthz")
        assert health.status_code == 503
        assert health.json() == {"ready": False, "model": "empty", "version": None}


SLOW_MODEL = """
import os, time
from ser_model.recognizer import EmotionRecognizer

load = EmotionRecognizer.from_pretrained

def load_later(*arguments, **settings):
    while not os.path.exists(os.environ["SER_TEST_GATE"]):
        time.sleep(0.05)
    return load(*arguments, **settings)

EmotionRecognizer.from_pretrained = load_later
"""


def test_health_while_the_model_loads(checkpoint, tmp_path, monkeypatch):
    """The page is there before its model; Python runs a module of this name before anything else."""
    (tmp_path / "sitecustomize.py").write_text(SLOW_MODEL)
    monkeypatch.setenv("SER_TEST_GATE", str(tmp_path / "gate"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{PROJECT}")
    with served_page(tmp_path, checkpoint) as page:
        health = httpx.get(f"{page.url}healthz")
        assert health.status_code == 503
        assert health.json() == {"ready": False, "model": checkpoint.name, "version": None}
        (tmp_path / "gate").touch()
        wait_for(lambda: httpx.get(f"{page.url}healthz").status_code == 200)
        assert httpx.get(f"{page.url}healthz").json()["ready"] is True


@pytest.mark.parametrize("door", CLOSED)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_doors_that_nobody_needs_are_closed(page, door, method):
    before = set(page.temporary.rglob("*"))
    files = {"video": ("a.mp4", b"\0" * 2000)} if method == "POST" else None
    response = httpx.request(method, page.url + door.removeprefix("/"), files=files)
    assert response.status_code == 404
    assert response.json()["error"].startswith("There is nothing at this address")
    assert set(page.temporary.rglob("*")) == before


def ask(client: PageClient, endpoint: str, data: object) -> str:
    """The sentence with which a request of a program is refused."""
    response = client.http.post(f"call/{endpoint}", json={"data": data})
    if response.status_code != 200:
        return response.json()["error"]
    event = client.http.get(f"call/{endpoint}/{response.json()['event_id']}").text
    name, content = event.strip().split("\n")[-2:]
    assert name == "event: error"
    return json.loads(content.removeprefix("data: "))["error"]


@pytest.mark.parametrize("endpoint", ["predict", "timeline", "batch"])
@pytest.mark.parametrize("data", [[], ["text"], [7], [{}], [{"path": "/etc/hostname"}], [[1]]], ids=repr)
def test_wrong_arguments_get_a_sentence(client, endpoint, data):
    assert ask(client, endpoint, data).startswith(("These arguments cannot be used", "Give 1 to 20"))


def test_path_that_was_not_uploaded_gets_a_sentence(client):
    assert ask(client, "predict", [as_file("/etc/hostname")]).startswith("This file was not uploaded")
    assert ask(client, "batch", [[as_file("/etc/hostname")]]).startswith("This file was not uploaded")


def test_address_that_is_not_public_gets_a_sentence(page, client):
    file = as_file(f"{page.url}voice.wav")
    for endpoint, argument in (("predict", file), ("timeline", file), ("batch", [file])):
        assert "could not be fetched" in ask(client, endpoint, [argument])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("call/nothing", {"data": []}),
        ("call/v2/nothing", {}),
        ("call/v2/predict", {"nothing": 1}),
        ("queue/join", {"data": [], "fn_index": 999, "session_hash": "a"}),
        ("run/nothing", {"data": []}),
        ("api/nothing", {"data": []}),
    ],
)
def test_what_is_not_there_gets_a_sentence(client, path, body):
    response = client.http.post(path, json=body)
    assert response.status_code == 404
    assert response.json()["error"] == response.json()["detail"]
    assert "view=api" in response.json()["error"]


@pytest.mark.parametrize("chunk", [None, 7, "x", [], {}, {"number": 0}, {"number": 0, "rate": "x", "samples": 1}])
def test_malformed_pieces_of_sound_get_a_sentence(client, chunk):
    body = {"data": [chunk], "fn_index": client.functions["hear"], "session_hash": "a"}
    response = client.http.post("run/predict", json=body)
    assert response.status_code == 200
    assert response.json()["data"][0]["props"]["now"]["state"] == "problem"
    known = client._queue("learn_voice", "a", chunk)["known"]
    assert ENGLISH[known["problem"]]


def test_stream_needs_the_name_of_a_session(client, speech):
    assert client.hear(None, 0, speech, RATE)["state"] == "problem"


def test_large_request_is_refused(client):
    body = {"data": ["A" * (1 << 20)]}
    response = client.http.post("call/predict", json=body)
    assert response.status_code == 413
    assert "larger than 1 MB" in response.json()["error"]
    pieces = iter([json.dumps(body).encode()] * 2)
    assert client.http.post("call/predict", content=pieces).status_code in (400, 413)  # its length not told


def test_requests_of_an_address_are_counted(page):
    flood = PageClient(page.url, address="198.51.100.9")
    responses = [flood.http.post("nothing") for _ in range(4 * limits.REQUESTS_IN_A_ROW)]
    refused = [response for response in responses if response.status_code == 429]
    assert refused
    assert "Too many requests" in refused[0].json()["error"]
    assert refused[0].headers["retry-after"]
    assert PageClient(page.url, address="203.0.113.9").http.post("nothing").status_code == 404


def test_upload_without_a_length_is_refused(client):
    response = client.http.post("upload", content=iter([b"x"]), headers={"content-type": "multipart/form-data"})
    assert response.status_code == 411


def test_visitor_who_leaves_while_uploading_is_no_error(page, client):
    """The page's log, which must have no traceback at the end, has a line of it."""

    def cut_off() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\nRIFF'
        raise ConnectionAbortedError

    headers = {"content-type": "multipart/form-data; boundary=x", "content-length": "100000"}
    with pytest.raises(ConnectionAbortedError), httpx.Client(base_url=client.http.base_url) as leaver:
        leaver.post("upload", content=cut_off(), headers=headers)
    wait_for(lambda: any((line["door"], line["outcome"]) == ("upload", "left") for line in lines(page)))


def test_uploads_of_an_address_have_a_limit(page, tmp_path):
    client = PageClient(page.url, address="203.0.113.20")
    paths = []
    for number in range(4):
        (tmp_path / f"{number}.wav").write_bytes(bytes([number]) * 900_000)
        paths.append(Path(client.upload(tmp_path / f"{number}.wav")["path"]))
    assert [path.exists() for path in paths] == [False, False, True, True]
    (tmp_path / "large.wav").write_bytes(bytes(3 << 20))
    with (tmp_path / "large.wav").open("rb") as stream:
        response = client.http.post("upload", files={"files": stream})
    assert response.status_code == 413
    assert "larger than 2 MB" in response.json()["error"]


def test_queue_has_room_for_others(checkpoint, hour, speech_file, tmp_path):
    """An address with long recordings has the queue to its limit; another one is answered."""
    with served_page(tmp_path, checkpoint, WAITING_OF_ADDRESS=1, STOP_SECONDS=0) as page:
        attacker = PageClient(page.url, address="198.51.100.1")
        body = {"data": [attacker.upload(hour)]}
        with ThreadPoolExecutor(6) as threads:  # all at once: none may slip in while another is looked at
            ask = [threads.submit(attacker.http.post, "call/predict", json=body) for _ in range(6)]
            assert sorted(response.result().status_code for response in ask) == [200] + [429] * 5
        honest = PageClient(page.url, address="203.0.113.1")
        event, (answer,) = honest.call("predict", honest.upload(speech_file))
        assert (event, answer["speech"]) == ("complete", True)


async def ask_by_mcp(page: ServedPage, address: str, recording: str) -> CallToolResult:
    """Answer of the tool predict to someone at an address of this machine."""
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with (
        httpx.AsyncClient(transport=transport, timeout=60) as http,
        streamable_http_client(f"{page.url}gradio_api/mcp/", http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        return await session.call_tool("predict", {"audio": recording})


def test_tools_ask_for_their_own_address(checkpoint, hour, speech_file, tmp_path):
    """A chatbot whose address has enough in the queue is refused, though it is the page itself that joins for it."""
    recording = f"data:audio/wav;base64,{base64.b64encode(speech_file.read_bytes()).decode()}"
    with served_page(tmp_path, checkpoint, WAITING_OF_ADDRESS=1, STOP_SECONDS=0) as page:
        client = PageClient(page.url)
        body = {"data": [client.upload(hour)]}
        greedy = httpx.Client(base_url=client.http.base_url, transport=httpx.HTTPTransport(local_address="127.0.0.2"))
        assert greedy.post("call/predict", json=body).status_code == 200
        assert asyncio.run(ask_by_mcp(page, "127.0.0.2", recording)).isError
        assert not asyncio.run(ask_by_mcp(page, "127.0.0.3", recording)).isError


def test_addresses_come_by_turns_and_make_room(checkpoint, tmp_path):
    """One at a time is answered: two attackers have filled the queue before two honest visitors come."""
    soundfile.write(tmp_path / "word.wav", speech_like(1.0), RATE)
    soundfile.write(tmp_path / "talk.wav", np.tile(speech_like(20.0), 30), RATE)
    with served_page(tmp_path, checkpoint, WAITING=6, AT_ONCE=1, STOP_SECONDS=0) as page:
        clients = [PageClient(page.url, address=f"198.51.100.{last}") for last in "111122234"]
        bodies = [{"data": [clients[0].upload(tmp_path / "talk.wav")]}] + [
            {"data": [clients[-1].upload(tmp_path / "word.wav")]}
        ] * 8
        joined = [client.http.post("call/predict", json=body) for client, body in zip(clients, bodies, strict=True)]
        texts = [clients[0].http.get(f"call/predict/{response.json()['event_id']}").text for response in joined]
        gave_way = [number for number, text in enumerate(texts) if "The queue was full" in text]
        assert gave_way == [3, 6]
        assert sum("event: complete" in text for text in texts) == 7
        names = [response.headers["x-request-id"] for response in joined]
        answered = [line["id"] for line in lines(page) if line["outcome"] == "answered" and line["id"] in names]
        assert [names.index(name) for name in answered] == [0, 4, 7, 8, 1, 5, 2]


@pytest.mark.parametrize("attackers", [1, 2, 4])
def test_live_visitors_are_heard_while_an_address_attacks(page, speech, attackers):
    """The attacker sends the longest chunks as fast as they are answered, by so many streams at once."""
    ended = threading.Event()
    long = encoded(np.tile(speech, 4)[: int(limits.LIVE_CHUNK_SECONDS * RATE)])

    def attack(name: str) -> None:
        client = PageClient(page.url, address="198.51.100.2")
        number = 0
        while not ended.is_set():
            body = {"number": number, "rate": RATE, "samples": long}
            run = {"data": [body], "fn_index": client.functions["hear"], "session_hash": name}
            response = client.http.post("run/predict", json=run)
            number = number + 1 if response.status_code == 200 and number < 20 else 0

    threads = [threading.Thread(target=attack, args=(f"attack{number}",)) for number in range(attackers)]
    for thread in threads:
        thread.start()
    try:
        honest = PageClient(page.url, address="203.0.113.2")
        for number in range(8):
            assert honest.hear("honest", number, speech[: RATE // 2], RATE)["state"] in ("speech", "silent")
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for name in ["honest", *(f"attack{number}" for number in range(attackers))]:
            PageClient(page.url, address="203.0.113.2").hear(name, 1, np.zeros(0), RATE)


def test_answer_ends_when_its_program_has_left(page, client, hour):
    joined = client.http.post("call/predict", json={"data": [client_upload(page, hour)]})
    with client.http.stream("GET", f"call/predict/{joined.json()['event_id']}"):
        time.sleep(1.0)
    assert line_of(page, joined.headers["x-request-id"])["outcome"] == "left"


def client_upload(page: ServedPage, path: Path) -> dict:
    """A file larger than an address may upload here, put where uploads are."""
    (folder,) = [entry for entry in page.temporary.iterdir() if entry.is_dir()]
    target = folder / "talk" / path.name
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(path.read_bytes())
    return as_file(str(target))


def test_answer_ends_when_its_visitor_has_left(page, client, hour):
    body = {"data": [client_upload(page, hour)], "fn_index": client.functions["answer"], "session_hash": "leaver"}
    joined = client.http.post("queue/join", json=body)
    with client.http.stream("GET", "queue/data", params={"session_hash": "leaver"}) as stream:
        next(stream.iter_lines())
        time.sleep(1.0)
    assert line_of(page, joined.headers["x-request-id"])["outcome"] == "left"


def test_answer_ends_when_its_chatbot_has_left(checkpoint, tmp_path):
    talk = tmp_path / "talk.mp3"  # within the four megabytes that an MCP server takes
    soundfile.write(talk, np.tile(speech_like(20.0), 24), RATE)
    recording = f"data:audio/mpeg;base64,{base64.b64encode(talk.read_bytes()).decode()}"
    with served_page(tmp_path, checkpoint, METRICS=1) as page:

        async def ask_and_leave() -> None:
            asking = asyncio.create_task(ask_by_mcp(page, "127.0.0.1", recording))
            await asyncio.to_thread(wait_for, lambda: "ser_queue_waiting 1\n" in httpx.get(f"{page.url}metrics").text)
            asking.cancel()
            await asyncio.wait([asking])

        asyncio.run(ask_and_leave())
        wait_for(lambda: any(line["door"] == "predict" for line in lines(page)))
        assert lines(page)[-1]["outcome"] == "left"


def test_journal_has_a_line_for_each_request(page, client, speech_file):
    joined = client.http.post("call/predict", json={"data": [client.upload(speech_file)]})
    client.http.get(f"call/predict/{joined.json()['event_id']}")
    line = line_of(page, joined.headers["x-request-id"])
    assert (line["door"], line["outcome"]) == ("predict", "answered")
    assert line["seconds"] > 0
    assert set(line) == {"time", "id", "door", "outcome", "seconds"}
    closed = httpx.post(f"{page.url}gradio_api/process_recording")
    assert line_of(page, closed.headers["x-request-id"])["reason"] == "closed"
    text = page.log.read_text()
    assert "speech.wav" not in text
    assert "203.0.113" not in text


def test_metrics_count_requests(page, client, speech_file):
    name = 'ser_requests_total{door="timeline",outcome="answered"}'

    def counted() -> float:
        rows = dict(
            line.rsplit(" ", 1) for line in httpx.get(f"{page.url}metrics").text.splitlines() if line[0] != "#"
        )
        return float(rows.get(name, 0))

    before = counted()
    client.call("timeline", client.upload(speech_file))
    assert counted() == before + 1


def test_metrics_are_off_by_default(checkpoint, tmp_path):
    with served_page(tmp_path, checkpoint) as page:
        assert httpx.get(f"{page.url}metrics").status_code == 404
