"""The limits of the page, and how the environment replaces them."""

import re
from pathlib import Path

import pytest

from page import limits


PROJECT = Path(__file__).parents[2]


def test_environment_replaces_a_limit():
    assert limits.limit("WAITING", 32, {}) == 32
    assert limits.limit("WAITING", 32, {"SER_WAITING": ""}) == 32
    assert limits.limit("WAITING", 32, {"SER_WAITING": "7"}) == 7
    assert limits.limit("LIVE_IDLE_SECONDS", 10.0, {"SER_LIVE_IDLE_SECONDS": "2"}) == 2.0


@pytest.mark.parametrize("text", ["many", "-1", "2.5", "1e3"])
def test_bad_limit_is_told(text):
    with pytest.raises(ValueError, match=f"SER_WAITING is given as '{text}': it is a whole number from 0 on"):
        limits.limit("WAITING", 32, {"SER_WAITING": text})


@pytest.mark.parametrize("text", ["nan", "inf", "-0.5"])
def test_bad_limit_of_seconds_is_told(text):
    with pytest.raises(ValueError, match="it is a number from 0 on, by default 10"):
        limits.limit("LIVE_IDLE_SECONDS", 10.0, {"SER_LIVE_IDLE_SECONDS": text})


def test_every_limit_is_documented():
    """The table in docs/deploy.md has each variable once, with its default."""
    rows = re.findall(r"^\| `SER_(\w+)` \| ([\d.,]+)", (PROJECT / "docs/deploy.md").read_text("utf-8"), re.MULTILINE)
    documented = {name: float(default.replace(",", "")) for name, default in rows}
    source = (PROJECT / "page/limits.py").read_text("utf-8")
    names = re.findall(r'limit\("(\w+)"', source)
    assert len(names) == len(set(names)) >= 20
    assert documented == {name: getattr(limits, name) for name in names}
