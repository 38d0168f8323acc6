"""The page without a server's help, in headless Chromium: it answers as Python does, and asks nobody else."""

import csv
import functools
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import yaml
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from page.sources import FOLDER
from page.texts import ENGLISH, TEXTS
from scripts.chromium import PROGRAM
from scripts.make_web import make_web, texts
from ser_model import EmotionRecognizer
from ser_model.audio_io import load_audio
from ser_model.colours import EMOTION_COLOURS
from ser_model.files import ONNX_FILE
from ser_model.prediction import Prediction
from ser_model.recognizer import PRETRAINED
from ser_model.timeline import audacity_labels, timeline_csv, timeline_json
from tests.browser_checks import assert_fits, assert_theme, hearing_browser, scores, violations
from train.augment.voice import RATE, speech_like


HALF_A_POINT = 0.005  # of a percentage
CLIPS_APART = 500  # from one clip of the corpora to the next that is compared
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
    try:
        make_web(folder, PRETRAINED / ONNX_FILE)
    except OSError as error:
        pytest.skip(str(error))
    return folder


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

    def visit(width: int = 1280, theme: str = "light", touch: bool = False) -> Page:
        viewport = {"width": width, "height": HEIGHT}
        context = browser.new_context(viewport=viewport, color_scheme=theme, locale="en-US", has_touch=touch)
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
    page.locator("#voice input[type=file]").set_input_files(path)
    expect(page.locator(".voice-name")).to_have_text(path.name)
    expect(page.locator(f'.answer[data-state="{state}"]')).to_be_visible(timeout=ANSWERED_WITHIN)


def assert_as_in_python(page: Page, path: Path, expected: Prediction) -> None:
    """Assert that the page says of a recording what Python says."""
    upload(page, path, "answer" if expected.speech else "no_speech")
    if not expected.speech:
        return
    assert scores(page) == pytest.approx(expected.scores, abs=HALF_A_POINT), path
    told = page.locator(".answer-detail").inner_text()
    assert ("likely, from" in told) == expected.sure
    assert page.locator(".timeline").is_visible() == (len(expected.segments) > 1)


def saved(page: Page, name: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("link", name=name, exact=True).click()
    return download.value.path().read_text(encoding="utf-8-sig")


@pytest.mark.parametrize(("suffix", "rate"), [("wav", 16000), ("wav", 44100), ("flac", 48000), ("mp3", 22050)])
def test_same_answer_as_in_python(suffix, rate, visit, speech, tmp_path):
    path = tmp_path / f"voice.{suffix}"
    sound = soxr.resample(speech, RATE, rate)
    soundfile.write(path, np.stack([sound, 0.5 * sound], axis=1), rate)
    page = visit()
    expected = EmotionRecognizer.from_pretrained().predict(path)
    assert_as_in_python(page, path, expected)
    first = page.locator('.bar[style*="--rank: 0"]')
    expect(first).to_have_attribute("data-emotion", expected.label)
    colour = first.locator(".bar-track span").evaluate("bar => getComputedStyle(bar).backgroundColor")
    channels = bytes(map(int, re.findall(r"\d+", colour)))
    assert f"#{channels.hex()}" == EMOTION_COLOURS[expected.label]


def test_examples_are_answered_as_in_python(visit):
    recognizer = EmotionRecognizer.from_pretrained()
    page = visit()
    for path in sorted((FOLDER / "examples").glob("*.mp3")):
        assert_as_in_python(page, path, recognizer.predict(path))


def test_clips_of_corpora_are_answered_as_in_python(visit, corpora_root, tmp_path):
    recognizer = EmotionRecognizer.from_pretrained()
    page = visit()
    clips = [
        clip
        for corpus in ("ravdess", "emodb", "nemo")
        for clip in sorted(path for path in (corpora_root / corpus).rglob("*.*") if path.suffix in (".flac", ".ogg"))
    ][::CLIPS_APART]
    together = np.concatenate([load_audio(clip) for clip in clips])
    soundfile.write(tmp_path / "long.wav", together, RATE)
    soundfile.write(tmp_path / "long.flac", soxr.resample(together, RATE, 48000), 48000)
    for path in [*clips, tmp_path / "long.wav", tmp_path / "long.flac"]:
        assert_as_in_python(page, path, recognizer.predict(path))


def test_long_recording_as_in_python(visit, tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.concatenate([speech_like(8.0), np.zeros(4 * RATE), speech_like(7.3)]), RATE)
    page = visit(width=390)
    expected = EmotionRecognizer.from_pretrained().predict(path)
    assert not all(segment.speech for segment in expected.segments)
    assert_as_in_python(page, path, expected)
    expect(page.locator(".areas")).to_have_count(2)  # none while nobody speaks
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    by_python = list(csv.DictReader(timeline_csv(expected).splitlines()))
    for row, expected_row in zip(csv.DictReader(saved(page, "CSV").splitlines()), by_python, strict=True):
        assert list(row) == list(expected_row)
        for cell, expected_cell in zip(row.values(), expected_row.values(), strict=True):
            assert cell == expected_cell or float(cell) == pytest.approx(float(expected_cell), abs=HALF_A_POINT)
    told, told_by_python = json.loads(saved(page, "JSON")), json.loads(timeline_json(expected))
    assert told.keys() == told_by_python.keys()
    for name in ("segments", "moments"):
        assert [entry.keys() for entry in told[name]] == [entry.keys() for entry in told_by_python[name]]
    assert saved(page, "Audacity labels") == audacity_labels(expected)


def test_sound_and_picture_are_one(visit, tmp_path):
    page = visit()
    soundfile.write(tmp_path / "talk.wav", speech_like(10.0), RATE)
    upload(page, tmp_path / "talk.wav", "answer")
    plot = page.locator(".timeline-plot")
    plot.click(position={"x": plot.bounding_box()["width"] / 2, "y": 100})
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    page.locator(".playhead").press("Enter")
    assert 5.0 <= float(page.locator(".playhead").get_attribute("aria-valuenow")) < 10.0
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture", exact=True).click()
    picture = Image.open(download.value.path()).convert("RGB")
    colours = {colour for _, colour in picture.getcolors(picture.width * picture.height)}
    assert {tuple(bytes.fromhex(colour.removeprefix("#"))) for colour in EMOTION_COLOURS.values()} & colours


@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1440, "light")])
def test_by_touch_with_nothing_in_the_way(visit, width, theme, tmp_path):
    page = visit(width, theme, touch=True)
    page.locator(".microphone button").tap()
    page.wait_for_timeout(RECORDED_SECONDS * 1000)
    page.get_by_role("button", name="Stop", exact=True).tap()
    expect(page.locator('.answer[data-state="answer"]')).to_be_visible(timeout=ANSWERED_WITHIN)
    soundfile.write(tmp_path / "talk.wav", speech_like(10.0), RATE)
    upload(page, tmp_path / "talk.wav", "answer")
    plot = page.locator(".timeline-plot")
    plot.tap(position={"x": plot.bounding_box()["width"] / 2, "y": 100})
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    assert violations(page) == {}


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


def test_what_is_no_voice_is_no_emotion(visit, tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal(10 * RATE)
    sounds = {
        "silence": 1e-4 * speech_like(2.0),
        "click": speech_like(0.1),
        "white noise": noise[: 3 * RATE],
        "long white noise": noise,
    }
    page = visit()
    for name, sound in sounds.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, sound, RATE)
        assert not EmotionRecognizer.from_pretrained().predict(path).speech
        upload(page, path, "no_speech")
        expect(page.locator(".answer-bars")).to_be_hidden()
        expect(page.locator(".timeline")).to_be_hidden()
        expect(page.locator(".areas")).to_have_count(0)


@pytest.mark.parametrize("language", TEXTS)
def test_page_speaks_every_language(visit, language):
    page = visit()
    page.get_by_role("combobox", name=ENGLISH["language"]).select_option(language)
    expect(page).to_have_title(TEXTS[language]["title"])
    expect(page.get_by_role("heading", level=1)).to_have_text(TEXTS[language]["heading"].removeprefix("# "))
    expect(page.locator("#privacy")).to_have_text(texts()[language]["privacy"])


def test_bad_file_is_explained(visit, tmp_path):
    page = visit()
    (tmp_path / "diary.wav").write_bytes(b"no sound " * 99)
    upload(page, tmp_path / "diary.wav", "problem")
    expect(page.locator(".answer-detail")).to_contain_text("'diary.wav' is no recording")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fits_every_screen(visit, theme):
    page = visit(theme=theme)
    assert_fits(page, HEIGHT)
    assert_theme(page.locator("body"), theme)


def test_folder_is_a_static_space(folder):
    card = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert card["sdk"] == "static"
    assert "Content-Security-Policy" in (folder / "index.html").read_text(encoding="utf-8")
