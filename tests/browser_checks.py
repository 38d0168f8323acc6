"""Checks that every page in a browser must pass, whoever serves it."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from scripts.chromium import launch_chromium
from train.augment.voice import RATE, speech_like


SERIOUS = ("serious", "critical")  # violations of accessibility that axe-core finds


@contextlib.contextmanager
def hearing_browser(folder: Path, gain: float = 1.0) -> Iterator[Browser]:
    """Chromium, whose microphone plays a generated voice of peak 0.5 times `gain`; it is written to `folder`."""
    voice = folder / "voice.wav"
    soundfile.write(voice, speech_like(6.0) * gain, RATE)
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright, voice)
        yield browser
        browser.close()


def assert_fits(page: Page, height: int) -> None:
    """No screen has to be scrolled sideways, and the microphone is found without scrolling."""
    for width in (390, 768, 1920):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        button = page.locator(".microphone button").bounding_box()
        assert button["width"] >= 120
        assert button["y"] + button["height"] < height


def assert_theme(ground: Locator, theme: str) -> None:
    """The ground is bright in the light theme, and dark in the other."""
    colour = ground.evaluate("element => getComputedStyle(element).backgroundColor")
    brightness = np.mean([int(number) for number in re.findall(r"\d+", colour)[:3]])
    assert (brightness > 200) if theme == "light" else (brightness < 60)


def scores(page: Page, part: str = "") -> dict[str, float]:
    """Probability of each emotion, as long as its bar is, in a part of the page."""
    bars = page.locator(f"{part} .bar").evaluate_all(
        "bars => bars.map(bar => [bar.dataset.emotion, Number(bar.style.getPropertyValue('--share'))])"
    )
    return dict(bars)


def violations(page: Page) -> dict[str, list[str]]:
    """Violations of axe-core's rules that keep people from using the page as it is now: rule > elements."""
    page.wait_for_timeout(500)  # until the colours have faded in
    return {
        violation["id"]: [node["html"][:200] for node in violation["nodes"]]
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in SERIOUS
    }
