"""The benchmark of the microphone: its figures, and a browser that records what its microphone plays."""

import numpy as np
import pytest
import soundfile
from playwright.sync_api import sync_playwright

from benchmarks.microphone import FILE, LEAD_SECONDS, PAGE, PROCESSED, SCRIPTS, answered, figures, open_microphone
from scripts.chromium import PROGRAM, launch_chromium
from scripts.page_client import PageClient, as_file
from scripts.served_page import served_page
from train.augment.voice import speech_like


def answer(angry: float) -> dict:
    return {"label": "angry" if angry > 0.5 else "sad", "scores": {"angry": angry, "sad": 1 - angry}}


def test_figures_are_shares_of_the_clips():
    angry, sad = answer(0.9), answer(0.2)
    rows = [
        {FILE: angry, PAGE: angry, PROCESSED: sad},
        {FILE: angry, PAGE: angry, PROCESSED: angry},
        {FILE: angry, PAGE: sad, PROCESSED: sad},
        {FILE: sad, PAGE: sad, PROCESSED: sad},
    ]
    measured = figures(rows, ["angry", "angry", "angry", "sad"])
    assert measured[FILE] == {"accuracy": 1.0, "uar": 1.0, "agreement": 1.0, "change": 0.0}
    assert measured[PAGE]["accuracy"] == measured[PAGE]["agreement"] == 0.75
    assert measured[PAGE]["uar"] == pytest.approx((2 / 3 + 1) / 2)
    assert measured[PAGE]["change"] == pytest.approx(0.7 / 4)
    assert measured[PROCESSED]["agreement"] == 0.5


@pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed: apt install chromium")
def test_the_browser_turns_a_quiet_voice_up_if_it_may(checkpoint, tmp_path):
    peaks = {}
    with served_page(tmp_path, checkpoint) as served, sync_playwright() as playwright:
        voice = tmp_path / "voice.wav"
        browser = launch_chromium(playwright, voice)
        client = PageClient(served.url)
        for way, script in SCRIPTS.items():
            path = open_microphone(browser, voice, served.url, script).record(speech_like(2.0) * 0.08)
            samples, rate = soundfile.read(path)
            peaks[way] = float(np.abs(samples).max())
            assert len(samples) / rate >= 2.0 + LEAD_SECONDS
            assert answered(client, as_file(path))["speech"]
        browser.close()
    assert peaks[PAGE] == pytest.approx(0.04, rel=0.3)
    assert peaks[PROCESSED] > 1.5 * peaks[PAGE]
