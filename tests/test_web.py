"""The page without a server's help, in headless Chromium: it answers as Python does, and asks nobody else."""

import functools
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from playwright.sync_api import Browser, Page, expect

from scripts.chromium import PROGRAM
from scripts.make_web import make_web
from ser_model import EmotionRecognizer
from ser_model.colours import EMOTION_COLOURS
from ser_model.onnx_export import export_onnx
from ser_model.recognizer import PRETRAINED
from tests.browser_checks import assert_fits, assert_theme, hearing_browser, scores
from train.augment.voice import RATE, speech_like


HEIGHT = 840  # of the window, in pixels
RECORDED_SECONDS = 2.0
ANSWERED_WITHIN = 60_000  # milliseconds, the loading of 18 MB included; one second on a machine that is not busy

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed: apt install chromium")
Visit = Callable[..., Page]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The page with the shipped checkpoint."""
    folder = tmp_path_factory.mktemp("web")
    export_onnx(PRETRAINED, folder / "exported.onnx")
    try:
        make_web(folder / "web", folder / "exported.onnx")
    except OSError as error:
        pytest.skip(str(error))
    return folder / "web"


@pytest.fixture(scope="module")
def url(folder) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    with hearing_browser(tmp_path_factory.mktemp("microphone")) as browser:
        yield browser


@pytest.fixture
def visit(browser, url) -> Iterator[Visit]:
    """Opens the page for one visitor; in the end it must have asked no other server, and have had no error."""
    contexts, foreign, errors = [], [], []

    def visit(width: int = 1280, theme: str = "light") -> Page:
        viewport = {"width": width, "height": HEIGHT}
        context = browser.new_context(viewport=viewport, color_scheme=theme, locale="en-US")
        context.grant_permissions(["microphone"])
        contexts.append(context)
        page = context.new_page()
        own = (url, "data:", f"blob:{url}")
        page.on("request", lambda request: None if request.url.startswith(own) else foreign.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(url)
        expect(page.locator(".bar")).not_to_have_count(0)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert foreign == []
    assert errors == []


def upload(page: Page, path: Path, state: str) -> None:
    page.locator("#upload input").set_input_files(path)
    expect(page.locator(f'.answer[data-state="{state}"]')).to_be_visible(timeout=ANSWERED_WITHIN)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_same_answer_as_in_python(suffix, visit, speech, tmp_path):
    path = tmp_path / f"voice.{suffix}"
    soundfile.write(path, np.stack([speech, 0.5 * speech], axis=1), RATE)
    page = visit()
    upload(page, path, "answer")
    expected = EmotionRecognizer.from_pretrained().predict(path)
    assert scores(page) == pytest.approx(expected.scores, abs=1e-3)
    assert next(iter(scores(page))) == expected.label
    colour = page.locator(".bar-track span").first.evaluate("bar => getComputedStyle(bar).backgroundColor")
    channels = bytes(map(int, re.findall(r"\d+", colour)))
    assert f"#{channels.hex()}" == EMOTION_COLOURS[expected.label]


def test_long_recording_is_heard_through_windows(visit, tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.concatenate([speech_like(8.0), np.zeros(4 * RATE)]), RATE)
    page = visit()
    upload(page, path, "answer")
    expected = EmotionRecognizer.from_pretrained().predict(path)
    assert [segment.speech for segment in expected.segments] == [True] * 8 + [False] * 4
    assert scores(page) == pytest.approx(expected.scores, abs=1e-3)
    expect(page.locator(".answer-detail")).to_contain_text(f"{expected.confidence:.0%}")


def test_speak_by_keyboard_without_a_connection(visit):
    page = visit()
    page.wait_for_load_state("networkidle")  # the network is there
    page.context.set_offline(True)
    page.locator(".microphone button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_focused()
    page.wait_for_timeout(RECORDED_SECONDS * 1000)
    page.keyboard.press("Enter")
    expect(page.locator('.answer[data-state="answer"]')).to_be_visible(timeout=ANSWERED_WITHIN)
    assert sum(scores(page).values()) == pytest.approx(1, abs=1e-3)
    assert len(set(scores(page).values())) > 1


def test_silence_is_no_emotion(visit, tmp_path):
    for name, sound in {"silence": 1e-4 * speech_like(2.0), "click": speech_like(0.1)}.items():
        soundfile.write(tmp_path / f"{name}.wav", sound, RATE)
        page = visit()
        upload(page, tmp_path / f"{name}.wav", "no_speech")
        assert set(scores(page).values()) == {0}


def test_bad_file_is_explained(visit, tmp_path):
    page = visit()
    (tmp_path / "diary.wav").write_bytes(b"no sound " * 99)
    upload(page, tmp_path / "diary.wav", "problem")
    expect(page.locator(".answer-detail")).to_contain_text("“diary.wav” is no recording")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fits_every_screen(visit, theme):
    page = visit(theme=theme)
    assert_fits(page, HEIGHT)
    assert_theme(page.locator("body"), theme)


def test_folder_is_a_static_space(folder):
    card = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert card["sdk"] == "static"
    assert "Content-Security-Policy" in (folder / "index.html").read_text(encoding="utf-8")
