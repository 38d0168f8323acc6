"""Every limit of the page: what a visitor may send, how much waits, how long things are kept.

An environment variable, SER_ and the name of the constant, replaces each; docs/deploy.md lists them.
"""

import os
from collections.abc import Mapping

from ser_model.audio_io import MAX_DURATION


def limit(name: str, default: float, environment: Mapping[str, str] = os.environ) -> float:
    """
    The limit of this name: what the environment says, or the default, whose type it has.

    Raises:
        ValueError: the environment says something else than a number of that type, or less than 0.
    """
    text = environment.get(f"SER_{name}", "")
    if not text:
        return default
    try:
        value = type(default)(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        kind = "whole number" if isinstance(default, int) else "number"
        raise ValueError(f"SER_{name} is given as {text!r}: it is a {kind} from 0 on, by default {default}.")
    return value


# Of a recording, and of all recordings of a request together
RECORDING_MEGABYTES = limit("RECORDING_MEGABYTES", 200)
RECORDING_SECONDS = min(limit("RECORDING_SECONDS", MAX_DURATION), MAX_DURATION)
REQUEST_FILES = limit("REQUEST_FILES", 20)
REQUEST_SECONDS = limit("REQUEST_SECONDS", 7200.0)
FETCH_SECONDS = limit("FETCH_SECONDS", 30.0)  # that a recording at an address may take to come
MICROPHONE_SECONDS = limit("MICROPHONE_SECONDS", 60)

# Of the queue: whoever comes when it is full is told that the page is busy
AT_ONCE = limit("AT_ONCE", 2)
WAITING = limit("WAITING", 32)
WAITING_OF_ADDRESS = limit("WAITING_OF_ADDRESS", 8)  # those that are being answered included
SESSIONS = limit("SESSIONS", 100)  # that gradio remembers; each call of a program is one

# Of the live part: streams, each of one visitor
LIVE_STREAMS = limit("LIVE_STREAMS", 16)
LIVE_STREAMS_OF_ADDRESS = limit("LIVE_STREAMS_OF_ADDRESS", 8)
LIVE_SECONDS = limit("LIVE_SECONDS", 300)  # of sound
LIVE_IDLE_SECONDS = limit("LIVE_IDLE_SECONDS", 10.0)  # without a chunk; after as many the page gives up, too
LIVE_CHUNK_SECONDS = limit("LIVE_CHUNK_SECONDS", 12.0)  # of sound: what gathers while a connection is interrupted

# Of My voice
VOICE_SECONDS = limit("VOICE_SECONDS", 20)  # of a sentence
VOICE_SENTENCES = limit("VOICE_SENTENCES", 30)  # that are remembered of a visitor, who may read again in other moods
VOICE_VISITORS = limit("VOICE_VISITORS", 1000)  # beyond, whoever came first is forgotten

# Of what was uploaded
UPLOADS_MEGABYTES = limit("UPLOADS_MEGABYTES", 2000)  # together; beyond, the oldest are deleted
UPLOADS_OF_ADDRESS_MEGABYTES = limit("UPLOADS_OF_ADDRESS_MEGABYTES", 600)
UPLOADS_SAFE_SECONDS = limit("UPLOADS_SAFE_SECONDS", 60.0)  # that no recording is deleted for another
KEPT_SECONDS = limit("KEPT_SECONDS", 2700)  # a recording is gone ...
SWEEP_SECONDS = limit("SWEEP_SECONDS", 600)  # ... when they are looked through next

# Of an address, and of a request that uploads nothing
REQUESTS_PER_SECOND = limit("REQUESTS_PER_SECOND", 40.0)  # in the long run
REQUESTS_IN_A_ROW = limit("REQUESTS_IN_A_ROW", 120)
REQUESTS_OPEN = limit("REQUESTS_OPEN", 128)  # a visitor has two connections that stay open
RUNS_OF_ADDRESS = limit("RUNS_OF_ADDRESS", 2)  # pieces of live sound that are heard at once
RUNS_WAITING_OF_ADDRESS = limit("RUNS_WAITING_OF_ADDRESS", 32)
BODY_MEGABYTES = limit("BODY_MEGABYTES", 64)

# Of the page itself
PROXIES = limit("PROXIES", 1 if "SPACE_ID" in os.environ else 0)  # each adds the address that it hears from
STOP_SECONDS = limit("STOP_SECONDS", 10.0)  # to answer what was asked, when the page is to end
METRICS = limit("METRICS", 0)  # 1: /metrics tells Prometheus
