"""The journal: a line for each request, and counts in Prometheus' text format."""

import json
import logging

import pytest

from page.journal import Journal


@pytest.fixture
def journal() -> Journal:
    journal = Journal()
    journal.note("1", "predict", "answered", 0.25)
    journal.note("2", "predict", "answered", 200.0)
    journal.note("3", "door", "refused", 0.0, "rate")
    return journal


def test_line_of_a_request(caplog):
    with caplog.at_level(logging.INFO, "ser.requests"):
        Journal().note("7", "door", "refused", 1.23456, "rate")
    line = json.loads(caplog.messages[-1])
    assert line.pop("time")
    assert line == {"id": "7", "door": "door", "outcome": "refused", "seconds": 1.235, "reason": "rate"}


def test_counts(journal):
    journal.gauges["ser_live_streams"] = lambda: 3
    lines = journal.exposition().splitlines()
    assert 'ser_requests_total{door="predict",outcome="answered"} 2' in lines
    assert 'ser_requests_total{door="door",outcome="refused"} 1' in lines
    assert [line.split()[1] for line in lines if line.startswith('ser_request_seconds_bucket{door="predict"')] == [
        *["0"] * 1,
        *["1"] * 6,
        "2",
    ]
    assert 'ser_request_seconds_sum{door="predict"} 200.25' in lines
    assert 'ser_request_seconds_count{door="predict"} 2' in lines
    assert lines[-1] == "ser_live_streams 3"
    assert journal.exposition().endswith("\n")
