"""The page with the shipped model as a visitor meets it: headless Chromium, whose microphone plays a voice."""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from page.components import EXAMPLES
from page.texts import ENGLISH
from scripts.chromium import PROGRAM, launch_chromium
from tests.generated_sound import RATE, speech_like
from tests.served_page import ServedPage, served_page


MICROPHONE_PEAK = 0.1  # a quiet voice: a browser that turned it up would be noticed
HEIGHT = 840  # of the window, in pixels
RECORDED_SECONDS = 2.0
LOADED_WITHIN = 30_000  # milliseconds
ANSWERED_WITHIN = 3000  # milliseconds from the press on Stop to the answer; 200 on a machine that is not busy

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed: apt install chromium")
Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[ServedPage]:
    with served_page(tmp_path_factory.mktemp("page")) as page:
        yield page


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    voice = tmp_path_factory.mktemp("microphone") / "voice.wav"
    soundfile.write(voice, speech_like(6.0) * (MICROPHONE_PEAK / 0.5), RATE)
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright, voice)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, served) -> Iterator[Visit]:
    """Opens the page for one visitor; in the end the page must have asked no other server, and have had no error."""
    contexts, foreign, errors = [], [], []

    def visit(microphone: bool = True, width: int = 1280, theme: str = "light", locale: str = "en-US") -> Page:
        viewport = {"width": width, "height": HEIGHT}
        context = browser.new_context(viewport=viewport, color_scheme=theme, locale=locale)
        contexts.append(context)
        if microphone:
            context.grant_permissions(["microphone"])
        page = context.new_page()
        page.on("request", lambda request: foreign.append(request.url) if is_foreign(request.url, served) else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(served.url)
        expect(page.locator(".bar")).to_have_count(
            7, timeout=LOADED_WITHIN
        )  # the model is loaded, and has named its emotions
        return page

    yield visit
    for context in contexts:
        context.close()
    assert foreign == []
    assert errors == []


def is_foreign(url: str, served: ServedPage) -> bool:
    return not url.startswith((served.url, "data:", f"blob:{served.url}"))


def record(page: Page) -> None:
    """Press, speak, press."""
    page.get_by_role("button", name="Record", exact=True).click()
    stop = page.get_by_role("button", name="Stop", exact=True)
    expect(stop).to_be_visible()
    page.wait_for_timeout(RECORDED_SECONDS * 1000)
    stop.click()


def upload(page: Page, path: Path) -> None:
    page.locator("#voice input[type=file]").set_input_files(path)


def card(page: Page, state: str) -> Locator:
    return page.locator(f'.answer[data-state="{state}"]')


def recorded_file(page: Page) -> tuple[np.ndarray, int]:
    """Samples and rate of the recording that the page offers for download."""
    address = page.locator("#voice a[download]").get_attribute("href")
    return soundfile.read(BytesIO(httpx.get(address).content))


def test_speak_and_get_an_answer(visit):
    page = visit()
    record(page)
    expect(card(page, "answer")).to_be_visible(timeout=ANSWERED_WITHIN)
    expect(page.locator(".answer-title")).to_have_text(re.compile("^(Sounds|Unsure between) "))
    percentages = [int(text.rstrip("%")) for text in page.locator(".bar-value").all_inner_texts()]
    assert sum(percentages) == pytest.approx(100, abs=4)
    expect(page.locator(".timeline")).to_be_hidden()


def test_recording_arrives_as_it_was_spoken(visit):
    page = visit()
    record(page)
    expect(card(page, "answer")).to_be_visible()
    samples, rate = recorded_file(page)
    assert samples.ndim == 1
    assert len(samples) / rate == pytest.approx(RECORDED_SECONDS, abs=0.5)
    assert np.abs(samples).max() == pytest.approx(MICROPHONE_PEAK, rel=0.3)


def test_speak_again_by_keyboard_without_clearing(visit):
    page = visit()
    record(page)
    expect(card(page, "answer")).to_be_visible()
    first = page.locator("#voice a[download]").get_attribute("href")
    button = page.get_by_role("button", name="Record", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_focused()
    page.wait_for_timeout(1500)
    page.keyboard.press("Enter")
    expect(page.locator("#voice a[download]")).not_to_have_attribute("href", first)
    expect(card(page, "answer")).to_be_visible()


def test_blocked_microphone_is_explained(visit):
    page = visit(microphone=False)
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.locator(".microphone-status")).to_contain_text("microphone is blocked")
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_enabled()


def test_upload(visit, speech, tmp_path):
    page = visit()
    for suffix in ("wav", "flac", "ogg", "mp3"):
        soundfile.write(tmp_path / f"voice.{suffix}", speech, RATE)
        upload(page, tmp_path / f"voice.{suffix}")
        expect(card(page, "answer")).to_be_visible()
        page.get_by_role("button", name="Clear", exact=True).click()
        expect(card(page, "empty")).to_be_visible()


def test_long_recording_has_a_timeline(visit, tmp_path):
    page = visit(width=390)
    pause = np.zeros(4 * RATE)
    soundfile.write(tmp_path / "long.wav", np.concatenate([speech_like(6.0), pause, speech_like(4.0)]), RATE)
    upload(page, tmp_path / "long.wav")
    expect(page.locator(".timeline")).to_be_visible()
    expect(page.locator(".areas")).to_have_count(2)  # none while nobody speaks
    expect(page.locator(".timeline-chart")).to_have_attribute("aria-label", re.compile(r"from 0:00 to 0:0\d"))
    page.locator("summary").click()
    expect(page.locator(".timeline-rows tr")).to_have_count(14)
    expect(page.locator(".timeline-rows tr", has_text="no voice").first).to_be_visible()
    page.locator(".timeline-chart").hover(position={"x": 20, "y": 100})
    expect(page.locator(".timeline-note")).to_contain_text(re.compile(r"^0:0\d · \w+ \d+%"))


def test_examples_are_answered(visit):
    page = visit()
    for name in EXAMPLES:
        page.get_by_role("button", name=ENGLISH[f"example_{name}"]).click()
        expect(card(page, "answer")).to_be_visible()
        page.get_by_role("button", name="Clear", exact=True).click()
        expect(card(page, "empty")).to_be_visible()


def test_bad_file_is_explained(visit, tmp_path):
    page = visit()
    (tmp_path / "diary.wav").write_bytes(b"no sound " * 99)
    upload(page, tmp_path / "diary.wav")
    expect(card(page, "problem").locator(".answer-detail")).to_contain_text("'diary.wav' is no recording")


def test_silence_is_no_emotion(visit, tmp_path):
    page = visit()
    soundfile.write(tmp_path / "silence.wav", np.zeros(2 * RATE), RATE)
    upload(page, tmp_path / "silence.wav")
    expect(page.locator(".answer-title")).to_have_text("No speech heard")
    expect(page.locator(".answer-advice")).to_contain_text("Very quiet")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fits_every_screen(visit, theme):
    page = visit(theme=theme, locale="de-DE")
    expect(page).to_have_title("Speech emotion")
    expect(page.get_by_role("heading", level=1)).to_have_text("How does your voice sound?")
    for width in (390, 768, 1920):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        button = page.locator(".microphone button").bounding_box()
        assert button["width"] >= 120
        assert button["y"] + button["height"] < HEIGHT  # without scrolling
    colour = page.locator("#answer").evaluate("card => getComputedStyle(card).backgroundColor")
    brightness = np.mean([int(number) for number in re.findall(r"\d+", colour)[:3]])
    assert (brightness > 200) if theme == "light" else (brightness < 60)


def test_privacy_is_promised(visit):
    expect(visit().get_by_text("deleted within an hour")).to_be_visible()
