"""The Space: assembled in a folder as it is sent, with its own requirements.txt, started as the Hub starts it."""

from pathlib import Path

import pytest
from gradio_client import Client, handle_file

from scripts.served_page import ServedPage, served_page
from ser_model import EmotionRecognizer
from tests.fresh_environment import fresh_python
from train.publish.publishing import space_files


@pytest.fixture(scope="module")
def space(tmp_path_factory) -> Path:
    """The folder of a Space."""
    folder = tmp_path_factory.mktemp("space")
    for path, content in space_files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def page(space, tmp_path_factory) -> ServedPage:
    """Its page, in an environment that has what its requirements.txt names."""
    python = fresh_python(*(space / "requirements.txt").read_text().splitlines())
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONPATH", raising=False)
        patch.setenv("GRADIO_SERVER_NAME", "127.0.0.1")
        with served_page(tmp_path_factory.mktemp("page"), python=python, project=space) as page:
            yield page


def test_answers(page, speech_file):
    expected = EmotionRecognizer.from_pretrained().predict(speech_file)
    answer = Client(page.url, verbose=False).predict(audio=handle_file(speech_file), api_name="/predict")
    assert answer["label"] == expected.label
    assert answer["scores"] == pytest.approx(expected.scores, abs=1e-4)
