"""Every language says everything, and the scripts ask for nothing that is not there."""

import re

import pytest

from page.sources import FOLDER, source
from page.texts import ENGLISH, TEXTS
from ser_model.colours import EMOTION_COLOURS


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", text))


@pytest.mark.parametrize("language", TEXTS)
def test_languages_agree(language):
    texts = TEXTS[language]
    assert set(texts) == set(ENGLISH)
    assert {key: placeholders(text) for key, text in texts.items()} == {
        key: placeholders(text) for key, text in ENGLISH.items()
    }


def test_every_emotion_has_a_name():
    assert set(EMOTION_COLOURS) <= set(ENGLISH)


def test_scripts_ask_for_known_texts():
    names = [path.name for path in FOLDER.iterdir() if path.suffix in {".js", ".html"}]
    everything = source(*names)
    asked = set(re.findall(r"\btexts\.(\w+)|data-text=\"(\w+)\"", everything))
    keys = {first or second for first, second in asked}
    assert len(keys) > 20
    assert keys <= set(ENGLISH)
