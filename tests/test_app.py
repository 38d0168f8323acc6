"""The page's doors for programs: app.py in a process of its own, asked by gradio_client and by plain HTTP."""

import json
import shutil

import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.served_page import ServedPage, served_page


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
    types = {name: field["type"] for name, field in returned["type"]["properties"].items()}
    assert types == {
        "label": "string",
        "scores": "object",
        "confidence": "number",
        "duration": "number",
        "speech": "boolean",
        "segments": "array",
    }
    assert "which emotion" in endpoint["description"]


def call_over_http(page: ServedPage, recording: str) -> str:
    """What a program without gradio_client gets: the events that follow the call, as text."""
    data = {"data": [{"path": recording, "meta": {"_type": "gradio.FileData"}}]}
    event = httpx.post(f"{page.url}gradio_api/call/predict", json=data).json()["event_id"]
    return httpx.get(f"{page.url}gradio_api/call/predict/{event}", timeout=30).text


def test_plain_http(page, speech_file):
    with speech_file.open("rb") as stream:
        (uploaded,) = httpx.post(f"{page.url}gradio_api/upload", files={"files": stream}).json()
    event, data = call_over_http(page, uploaded).strip().split("\n")
    assert event == "event: complete"
    assert json.loads(data.removeprefix("data: "))[0]["speech"] is True


def test_files_of_the_server_stay_closed(page, speech_file):
    assert "event: error" in call_over_http(page, str(speech_file))


def test_damaged_model_is_told(checkpoint, speech_file, tmp_path):
    model = shutil.copytree(checkpoint, tmp_path / "model")
    (model / "model.safetensors").write_bytes(b"no weights")
    with served_page(tmp_path, model) as page, pytest.raises(AppError, match="model could not be loaded"):
        Client(page.url, verbose=False).predict(audio=handle_file(speech_file), api_name="/predict")
