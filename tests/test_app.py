"""The page's doors for programs: app.py in a process of its own, asked by gradio_client, plain HTTP and MCP."""

import ast
import asyncio
import base64
import itertools
import shutil
import time

import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from page import limits
from page.my_voice import SENTENCES
from scripts.page_client import PageClient, as_file
from scripts.served_page import ServedPage, served_page
from tests.conftest import LABELS
from train.augment.voice import RATE, speech_like


@pytest.fixture(scope="module")
def page(checkpoint, tmp_path_factory) -> ServedPage:
    """The page; once its process has ended, the recordings that the tests sent must be gone."""
    with served_page(tmp_path_factory.mktemp("page"), checkpoint) as page:
        yield page
        assert list(page.temporary.rglob("*.wav"))
    assert not list(page.temporary.rglob("*.wav"))


@pytest.fixture(scope="module")
def client(page) -> Client:
    return Client(page.url, verbose=False)


def test_predict_gives_what_the_recogniser_gives(client, checkpoint, speech_file):
    from ser_model import EmotionRecognizer

    expected = EmotionRecognizer.from_pretrained(checkpoint).predict(speech_file)
    result = client.predict(audio=handle_file(speech_file), api_name="/predict")
    assert result["label"] == expected.label
    assert result["speech"] is True
    assert result["duration"] == pytest.approx(expected.duration)
    assert result["scores"] == pytest.approx(expected.scores, abs=1e-6)
    assert len(result["segments"]) == len(expected.segments)


def test_silence_is_no_speech(client, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(32000), 16000)
    result = client.predict(audio=handle_file(tmp_path / "silence.wav"), api_name="/predict")
    assert result["label"] == "no speech"
    assert set(result["scores"].values()) == {0.0}


def test_timeline_has_passages_and_shares(client, tmp_path):
    soundfile.write(tmp_path / "talk.wav", np.concatenate([speech_like(8.0), np.zeros(4 * RATE)]), RATE)
    result = client.predict(audio=handle_file(tmp_path / "talk.wav"), api_name="/timeline")
    assert result["duration"] == pytest.approx(12.0)
    assert sum(result["shares"].values()) == pytest.approx(1.0)
    assert result["segments"][0]["start"] == 0.0
    assert result["segments"][-1]["label"] == "no speech"
    labels = [segment["label"] for segment in result["segments"]]
    assert all(label != following for label, following in itertools.pairwise(labels))


def test_batch_answers_the_good_ones_and_names_the_bad_one(client, speech_file, tmp_path):
    (tmp_path / "diary.wav").write_bytes(b"no sound" * 99)
    files = [handle_file(speech_file), handle_file(tmp_path / "diary.wav"), handle_file(speech_file)]
    first, bad, last = client.predict(files=files, api_name="/batch")
    assert (first["name"], first["problem"]) == ("speech.wav", None)
    assert first["prediction"]["speech"] is True
    assert last == first
    assert bad["prediction"] is None
    assert "'diary.wav' is no recording" in bad["problem"]


def test_batch_has_a_limit(client, speech_file):
    for files in ([], [handle_file(speech_file)] * 21):
        with pytest.raises(AppError, match=f"Give 1 to 20 recordings as `files`; got {len(files)}"):
            client.predict(files=files, api_name="/batch")


@pytest.mark.parametrize("path", ["/etc/hostname", "../app.py", "file:///etc/hostname"])
def test_batch_takes_no_path_of_the_server(client, path):
    (answer,) = client.predict(files=[path], api_name="/batch")
    assert "is no address" in answer["problem"]
    with pytest.raises(AppError):
        client.predict(files=[{"path": path}], api_name="/batch")


def test_batch_keeps_nothing_that_it_fetched(client, page, speech_file):
    before = set(page.temporary.rglob("*.wav"))
    address = f"data:audio/wav;base64,{base64.b64encode(speech_file.read_bytes()).decode()}"
    (answer,) = client.predict(files=[address], api_name="/batch")
    assert answer["prediction"]["speech"] is True
    assert set(page.temporary.rglob("*.wav")) == before


def test_batch_fetches_nothing_from_the_server_itself(client, page):
    (answer,) = client.predict(files=[f"{page.url}secret.wav"], api_name="/batch")
    assert "could not be fetched" in answer["problem"]


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b"I am no sound. " * 50, "no recording")])
def test_bad_file_gets_a_sentence(client, page, tmp_path, content, reason):
    path = tmp_path / "diary.wav"
    path.write_bytes(content)
    with pytest.raises(AppError, match=reason) as caught:
        client.predict(audio=handle_file(path), api_name="/predict")
    assert "diary.wav" in str(caught.value)
    assert str(page.temporary) not in str(caught.value)


def test_no_recording_gets_a_sentence(client):
    with pytest.raises(AppError, match="No recording was given"):
        client.predict(audio=None, api_name="/predict")


def test_predict_is_described(client):
    endpoint = client.view_api(return_format="dict")["named_endpoints"]["/predict"]
    (parameter,), (returned,) = endpoint["parameters"], endpoint["returns"]
    assert parameter["parameter_name"] == "audio"
    types = {
        name: field.get("type") or " or ".join(choice["type"] for choice in field["oneOf"])
        for name, field in returned["type"]["properties"].items()
    }
    assert types == {
        "label": "string",
        "scores": "object",
        "confidence": "number",
        "duration": "number",
        "speech": "boolean",
        "segments": "array",
        "sure": "boolean",
        "candidates": "array",
        "arousal": "null or number",
        "familiarity": "null or number",
    }
    assert "which emotion" in endpoint["description"]


@pytest.mark.parametrize(("endpoint", "parameter"), [("/timeline", "audio"), ("/batch", "files")])
def test_other_doors_are_described(client, endpoint, parameter):
    described = client.view_api(return_format="dict")["named_endpoints"][endpoint]
    assert [item["parameter_name"] for item in described["parameters"]] == [parameter]
    assert "emotion" in described["description"]
    assert described["returns"][0]["type"]["type"] == ("array" if endpoint == "/batch" else "object")


def test_only_the_doors_are_open_to_programs(client):
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {"/predict", "/timeline", "/batch"}


async def ask_by_mcp(url: str, calls: dict) -> tuple[dict, list]:
    """Descriptions of the tools by their names, and the answers to the calls: name of a tool > arguments."""
    async with (
        streamable_http_client(f"{url}gradio_api/mcp/") as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        tools = {tool.name: tool.description for tool in (await session.list_tools()).tools}
        return tools, [await session.call_tool(name, arguments) for name, arguments in calls.items()]


def test_chatbot_asks_by_mcp(page, speech_file):
    address = f"data:audio/wav;base64,{base64.b64encode(speech_file.read_bytes()).decode()}"
    calls = {"predict": {"audio": address}, "timeline": {"audio": address}, "batch": {"files": [address]}}
    tools, answers = asyncio.run(ask_by_mcp(page.url, calls))
    assert set(tools) == set(calls)
    assert "which emotion a voice expresses" in tools["predict"]
    assert not any(answer.isError for answer in answers)
    contents = [ast.literal_eval(answer.content[0].text) for answer in answers]
    assert contents[0]["speech"] is contents[1]["speech"] is contents[2][0]["prediction"]["speech"] is True
    assert contents[0]["label"] == contents[1]["label"] == contents[2][0]["prediction"]["label"]


def test_plain_http(page, speech_file):
    client = PageClient(page.url)
    event, (answer,) = client.call("predict", client.upload(speech_file))
    assert event == "complete"
    assert answer["speech"] is True


def test_files_of_the_server_stay_closed(page, speech_file):
    client = PageClient(page.url)
    assert client.call("predict", as_file(str(speech_file)))[0] == "error"
    assert client.call("batch", [as_file(str(speech_file))])[0] == "error"


def test_page_introduces_its_model(page):
    """First request of a browser: the emotions of the card and the figures of the model."""
    client = PageClient(page.url)
    body = {"data": [], "fn_index": client.functions["introduce_model"], "session_hash": "browser"}
    card, *figures = client.http.post("run/predict", json=body).raise_for_status().json()["data"]
    assert card["props"]["emotions"] == list(LABELS)
    version = httpx.get(f"{page.url}healthz").json()["version"]
    assert [version in str(known) for known in figures] == [True, True]


def test_programs_cannot_jump_the_queue(page, client, speech_file):
    program = PageClient(page.url)
    recording = program.upload(speech_file)
    for path in ("run/predict", "run/timeline", "api/batch", "run/answer", "run/learn_voice"):
        response = program.http.post(path, json={"data": [recording]})
        assert response.status_code == 404, path
    index = program.functions["predict"]
    assert program.http.post("run/hear", json={"data": [recording], "fn_index": index}).status_code == 404


def test_leaving_makes_room_for_another_live_visitor(page, speech):
    clients = [PageClient(page.url, address=f"203.0.113.{number}") for number in range(limits.LIVE_STREAMS + 1)]
    *visitors, latecomer = [(client, f"visitor{number}") for number, client in enumerate(clients)]
    for client, name in visitors:
        assert client.hear(name, 0, speech, RATE)["state"] == "speech"
    client, name = latecomer
    assert client.hear(name, 0, speech, RATE)["state"] == "busy"
    client.leave(visitors[0][1])
    deadline = time.monotonic() + limits.LIVE_IDLE_SECONDS / 2
    while client.hear(name, 0, speech, RATE)["state"] == "busy":
        assert time.monotonic() < deadline
        for other, called in visitors[1:]:
            other.hear(called, 1, speech[:800], RATE)
        time.sleep(0.2)
    stop_speaking(clients[0], *(name for _, name in [*visitors, latecomer]))


def test_one_address_cannot_take_the_live_part(page, speech):
    """Sixteen tiny requests, without a connection that would tell when their visitor leaves."""
    attacker = PageClient(page.url, address="198.51.100.1")
    names = [f"attack{number}" for number in range(limits.LIVE_STREAMS)]
    states = [attacker.hear(name, 0, speech[:800], RATE)["state"] for name in names]
    assert states.count("silent") == limits.LIVE_STREAMS_OF_ADDRESS
    assert states[-1] == "busy"
    assert PageClient(page.url, address="203.0.113.1").hear("honest", 0, speech, RATE)["state"] == "speech"
    stop_speaking(attacker, "honest", *names)


def stop_speaking(client: PageClient, *visitors: str) -> None:
    """End streams, so that all places are free for the next test."""
    for visitor in visitors:
        assert client.hear(visitor, 1, np.zeros(0, np.float32), RATE)["state"] == "stopped"


def test_voice_is_forgotten_when_its_visitor_leaves(page, speech):
    client = PageClient(page.url)
    known = [client.read("reader", speech, RATE) for _ in range(SENTENCES)]
    assert [entry["heard"] for entry in known] == [1, 2, 3]
    assert known[-1]["adapted"] is True
    assert client.hear("reader", 0, speech, RATE)["adapted"] is True
    assert client.hear("another", 0, speech, RATE)["adapted"] is False
    client.leave("reader")
    deadline = time.monotonic() + 20
    while client.hear("reader", 0, speech, RATE)["adapted"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    stop_speaking(client, "reader", "another")


def test_damaged_model_is_told(checkpoint, speech, speech_file, tmp_path):
    model = shutil.copytree(checkpoint, tmp_path / "model")
    (model / "model.safetensors").write_bytes(b"no weights")
    with served_page(tmp_path, model) as page:
        with pytest.raises(AppError, match="model could not be loaded"):
            Client(page.url, verbose=False).predict(audio=handle_file(speech_file), api_name="/predict")
        assert PageClient(page.url).hear("visitor", 0, speech, RATE)["state"] == "model_missing"
        assert PageClient(page.url).read("visitor", speech, RATE)["problem"] == "model_missing"
