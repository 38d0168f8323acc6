"""The web page: a voice goes in by microphone or file, the emotion that it resembles comes out. Run: python app.py

SER_MODEL names the model, a folder or a Hub id; without it the checkpoint that ships with the project answers.
"""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


recordings = tempfile.TemporaryDirectory(prefix="ser-")  # of this process alone, and gone with it
os.environ["GRADIO_TEMP_DIR"] = recordings.name
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # gradio reads both when it is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")  # several requests at once: more threads each only stall one another

import gradio as gr  # noqa: E402
import numpy as np  # noqa: E402

from page.answer import Answer, PredictionDict, blank, describe  # noqa: E402
from page.components import answer_card, examples, microphone, stylesheet, theme, translate, typed_json  # noqa: E402
from page.texts import ENGLISH  # noqa: E402
from ser_model.audio_io import SAMPLING_RATE, AudioError, load_audio  # noqa: E402
from ser_model.recognizer import EmotionRecognizer  # noqa: E402


MAX_FILE_SIZE = "200mb"
MAX_MICROPHONE_SECONDS = 60
MAX_WAITING = 32  # requests in the queue; who comes later is told that the page is busy
MAX_AT_ONCE = 2
SWEEP_SECONDS, KEPT_SECONDS = 600, 2700  # a recording is gone after 55 minutes at the latest

logger = logging.getLogger("ser.app")


def load_recognizer() -> EmotionRecognizer:
    """The recogniser, warmed up, so that the first visitor waits no longer than the others."""
    try:
        recognizer = EmotionRecognizer.from_pretrained(os.environ.get("SER_MODEL") or None)
        recognizer.predict(np.zeros(SAMPLING_RATE), sampling_rate=SAMPLING_RATE)
        recognizer.backend.probabilities([np.zeros(SAMPLING_RATE, np.float32)])  # silence does not reach the network
    except Exception:
        logger.exception("The model could not be loaded")
        raise
    return recognizer


loading = ThreadPoolExecutor(max_workers=1).submit(load_recognizer)  # the page is there before the model


def name_emotions() -> gr.HTML:
    """The card with the emotions that the model can tell apart, once it is loaded."""
    if loading.exception() is not None:
        return gr.HTML(blank("problem", message="model_missing"))
    return gr.HTML(emotions=loading.result().labels)


def answer(recording: str | None) -> Iterator[Answer]:
    """What the card shows of a recording, or of none."""
    if recording is None:
        yield blank("empty")
    else:
        yield blank("thinking")
        yield examine(recording)


def examine(recording: str) -> Answer:
    if loading.exception() is not None:
        return blank("problem", message="model_missing")
    try:
        waveform = load_audio(recording)
        return describe(loading.result().predict(waveform, sampling_rate=SAMPLING_RATE), waveform)
    except AudioError as error:
        return blank("problem", message=name_only(error, recording))
    except Exception:
        logger.exception("No answer to %s", recording)
        return blank("problem", message="unexpected")


def predict(audio: str) -> PredictionDict:
    """Tell which emotion a voice expresses.

    Args:
        audio: A recording in wav, flac, ogg or mp3, up to an hour and 200 MB.

    Returns:
        `label`, the likeliest emotion or "no speech"; `scores`, the probability of each emotion; `confidence`, the
        highest of them; `duration` in seconds; `speech`, whether a voice was heard; `segments`, the same over time.
    """
    if audio is None:
        raise gr.Error("No recording was given: give the path or the URL of one as `audio`.", print_exception=False)
    if loading.exception() is not None:
        raise gr.Error(ENGLISH["model_missing"], print_exception=False)
    try:
        return loading.result().predict(audio).to_dict()
    except AudioError as error:
        raise gr.Error(name_only(error, audio), print_exception=False) from error


def name_only(error: AudioError, path: str) -> str:
    """The error's sentence without the server's folders."""
    return str(error).replace(path, Path(path).name)


with gr.Blocks(title=ENGLISH["title"], delete_cache=(SWEEP_SECONDS, KEPT_SECONDS)) as demo:
    with gr.Column(elem_id="page-header"):
        gr.Markdown(translate("heading"))
        gr.Markdown(translate("introduction"))
    with gr.Column(elem_id="stage"):
        speak = microphone(MAX_MICROPHONE_SECONDS)
        card = answer_card(blank("empty"))
        voice = gr.Audio(
            label=translate("recording"),
            sources=["upload"],
            type="filepath",
            editable=False,
            buttons=["download"],
            elem_id="voice",
        )
        examples(voice)
    gr.Markdown(translate("privacy"), elem_id="privacy")
    with gr.Accordion(translate("about_heading"), open=False):
        gr.Markdown(translate("about"))

    demo.load(name_emotions, outputs=card, queue=False, show_progress="hidden", api_visibility="private")
    speak.submit(None, speak, voice, js="(recording) => recording")
    limits = {"concurrency_limit": MAX_AT_ONCE, "concurrency_id": "recognizer"}
    voice.change(answer, voice, card, show_progress="hidden", api_visibility="private", **limits)

    with gr.Row(visible=False):  # the doors for programs
        audio = gr.Audio(label="Recording", type="filepath")
        prediction = typed_json(PredictionDict, label="Prediction")
        gr.Button().click(predict, audio, prediction, api_name="predict", **limits)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # an orderly end deletes the recordings
    demo.queue(max_size=MAX_WAITING).launch(
        theme=theme(),
        css=stylesheet(),
        i18n=translate,
        max_file_size=MAX_FILE_SIZE,
        footer_links=["api", "settings"],
        run_history=False,
        ssr_mode=False,
    )
