"""The web page: a voice goes in by microphone or file, the emotion that it resembles comes out. Run: python app.py

SER_MODEL names the model, a folder or a Hub id; without it the checkpoint that ships with the project answers.
"""

import contextlib
import functools
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path


told = threading.Event()  # that the process is to end


def leave(*_signal: object) -> None:
    """An orderly end, which deletes the folder; where an import swallows it, `serve` ends the process."""
    told.set()
    sys.exit()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, leave)  # until `serve`
# Of this process alone, and gone with it, even where a thread still writes into it.
recordings = tempfile.TemporaryDirectory(prefix="ser-", ignore_cleanup_errors=True)
tempfile.tempdir = recordings.name  # whatever is written on the way to an answer goes with them
os.environ["GRADIO_TEMP_DIR"] = recordings.name
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # gradio reads both when it is imported
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000")  # else each request counts all before it: 8 ms
os.environ.setdefault("OMP_NUM_THREADS", "1")  # several requests at once: more threads each only stall one another

import gradio as gr  # noqa: E402
import numpy as np  # noqa: E402
from gradio.data_classes import FileData, ListFiles  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

from page import limits, live, my_voice  # noqa: E402
from page.about import FILES, About, about  # noqa: E402
from page.answer import Answer, PredictionDict, TimelineDict, blank, describe, problem_key  # noqa: E402
from page.blocks import PoliteBlocks  # noqa: E402
from page.components import drawn, examples, shared_scripts, stylesheet, theme, translate, typed_json  # noqa: E402
from page.doors import Doorkeeper, Doors, Health  # noqa: E402
from page.first_script import FirstScript  # noqa: E402
from page.inside import Inside, look_inside, nothing  # noqa: E402
from page.journal import Journal, log_requests  # noqa: E402
from page.line import Line  # noqa: E402
from page.many import FileDict, answers_for_programs, name_only, no_files, tables  # noqa: E402
from page.recordings import FilesOrAddresses, load, recordings_input  # noqa: E402
from page.sound import number_of  # noqa: E402
from page.texts import ENGLISH  # noqa: E402
from page.uploads import Uploads  # noqa: E402
from page.visitors import address_of  # noqa: E402
from page.work import GivenUpError, Question, Work, refusal  # noqa: E402
from ser_model.adaptation import AdaptedBackend  # noqa: E402
from ser_model.audio_io import SAMPLING_RATE, AudioError  # noqa: E402
from ser_model.prediction import Prediction  # noqa: E402
from ser_model.recognizer import PRETRAINED, EmotionRecognizer, checkpoint_path  # noqa: E402
from ser_model.timeline import timeline_dict  # noqa: E402


GIVE_UP_SECONDS = 3.0  # to tell those who still wait
PROGRESS_SECONDS = 0.25  # from one look at the progress of a long recording to the next
MODEL = os.environ.get("SER_MODEL") or None

logger = logging.getLogger("ser.app")
streams = live.LiveStreams()
own_voices = my_voice.OwnVoices()
workers = ThreadPoolExecutor(max_workers=limits.AT_ONCE)
journal = Journal()
work = Work(journal, lambda request: line.is_wanted(request))


@functools.cache
def about_model() -> About:
    """Name, version and figures of the model, read once."""
    folder = checkpoint_path(MODEL, None, None, FILES)
    return about(folder, Path(MODEL or folder).name)


def load_recognizer() -> EmotionRecognizer:
    """The recogniser, warmed up, so that the first visitor waits no longer than the others."""
    try:
        recognizer = EmotionRecognizer.from_pretrained(MODEL)
        recognizer.predict(np.zeros(SAMPLING_RATE), sampling_rate=SAMPLING_RATE)
        recognizer.backend.run([np.zeros(SAMPLING_RATE, np.float32)])  # silence does not reach the network
        about_model()
    except Exception:
        logger.exception("The model could not be loaded")
        raise
    return recognizer


loading = ThreadPoolExecutor(max_workers=1).submit(load_recognizer)  # the page is there before the model


def health() -> Health:
    """State of the page: whether it can answer, and the model and version that it answers with."""
    if not loading.done() or loading.exception() is not None:
        return Health(ready=False, model=Path(MODEL or PRETRAINED).name, version=None)
    known = about_model()
    return Health(ready=not keeper.stopping, model=known["name"], version=known["version"])


def introduce_model() -> tuple[gr.HTML, gr.HTML, gr.HTML]:
    """The card with the emotions that the model can tell apart, and twice what is known of it, once it is loaded."""
    if loading.exception() is not None:
        return gr.HTML(blank("problem", message="model_missing")), gr.HTML(), gr.HTML()
    known = about_model()
    return gr.HTML(emotions=loading.result().labels), gr.HTML(known), gr.HTML(known)


def answer(recording: FileData | None, request: gr.Request) -> Iterator[Answer]:
    """States of the card, one after the other, for a visitor's recording, or for none."""
    if recording is None:
        yield blank("empty")
        return
    with work.question("answer", request) as question:
        yield blank("thinking")
        answering = workers.submit(examine, recording, request.session_hash, question)
        while wait([answering], PROGRESS_SECONDS).not_done:
            yield blank("thinking", progress=question.share)
        yield answering.result()


def examine(recording: FileData, visitor: str, question: Question) -> Answer:
    """The answer to a recording, or what is wrong with it."""
    question.progress()
    name = Path(recording.orig_name or recording.path).name
    question.outcome = "refused"
    if loading.exception() is not None:
        return blank("problem", message="model_missing")
    try:
        waveform = load(recording.path)
        recognizer = own_voices.adapted(visitor, loading.result())
        prediction = recognizer.predict_waveform(waveform, progress=question.progress)
        backend = recognizer.backend
        correction = backend.correction if isinstance(backend, AdaptedBackend) else None
        described = describe(prediction, waveform, Path(name).stem, correction)
        question.outcome = "answered"
        return described
    except AudioError as error:
        return blank("problem", message=problem_key(error), name=name)
    except GivenUpError:
        raise
    except Exception:
        logger.exception("No answer to %s", question.id)
        question.outcome = "failed"
        return blank("problem", message="unexpected")


def show_inside(recording: FileData | None, request: gr.Request) -> Inside:
    """Spectrogram, MFCC and attention of a recording, as the network hears it."""
    with work.question("show_inside", request) as question:
        if recording is not None and loading.exception() is None:
            with contextlib.suppress(AudioError, OSError):  # the card says why; an exported file alone shows nothing
                return look_inside(loading.result().backend, load(recording.path))
        question.outcome = "refused"
        return nothing()


def hear(chunk: live.Chunk, request: gr.Request) -> gr.HTML:
    """State of the live part after the next chunk of a visitor."""
    with work.question("hear", request) as question:
        now = heard(chunk, request)
        question.outcome = "answered" if now["state"] in ("speech", "silent", "stopped") else "refused"
        return gr.HTML(now=now)


def heard(chunk: live.Chunk, request: gr.Request) -> live.Now:
    """The state of a visitor's stream after a chunk."""
    if loading.exception() is not None:
        return live.without_emotions("model_missing", number_of(chunk))
    visitor = request.session_hash
    if not visitor:  # all such programs would share a stream
        return live.without_emotions("problem", number_of(chunk))
    recognizer = own_voices.adapted(visitor, loading.result())
    return streams.hear(visitor, chunk, recognizer, address_of(request.request.scope))


def learn_voice(wish: my_voice.Request, request: gr.Request) -> gr.HTML:
    """State of My voice after a visitor's next sentence or press of the switch: how far the page knows the voice."""
    with work.question("learn_voice", request) as question:
        if loading.exception() is not None:
            known = my_voice.unknown(number_of(wish), "model_missing")
        else:
            address = address_of(request.request.scope)
            known = own_voices.heed(request.session_hash, wish, loading.result(), address)
        question.outcome = "refused" if known["problem"] else "answered"
        return gr.HTML(known=known)


def forget(request: gr.Request) -> None:
    """Free what is kept for a visitor who has left."""
    streams.leave(request.session_hash)
    own_voices.leave(request.session_hash)


def answer_many(files: ListFiles | None, request: gr.Request) -> Iterator[gr.HTML]:
    """The table of several recordings, as it grows."""
    with work.question("answer_many", request) as question:
        if loading.exception() is not None:
            yield gr.HTML(table=no_files("model_missing"))
            return
        paths = [file.path for file in files.root] if files else []
        for table in tables(loading.result(), paths, question.progress):
            yield gr.HTML(table=table)


def predict(audio: str, request: gr.Request) -> PredictionDict:
    """Tell which emotion a voice expresses.

    Args:
        audio: A recording in wav, flac, ogg or mp3, up to an hour and 200 MB.

    Returns:
        `label`, the likeliest emotion or "no speech"; `scores`, the probability of each emotion; `confidence`, the
        highest of them; `sure`, whether it is high enough to be relied on; `candidates`, the emotions that it may be
        otherwise; `arousal`, from 0, calm, to 1, lively; `familiarity`, 0 to 1, how much voice there is to go by,
        1 from two and a half voiced seconds on; `duration` in seconds; `speech`, whether a voice was heard;
        `segments`, the same over time.
    """
    with work.question("predict", request) as question:
        return answer_program(audio, question).to_dict()


def timeline(audio: str, request: gr.Request) -> TimelineDict:
    """Tell how the emotion of a voice changes over a recording, and how much of the speaking time each emotion has.

    Args:
        audio: A recording in wav, flac, ogg or mp3, up to an hour and 200 MB.

    Returns:
        Of the whole recording what predict gives, without the scores; `shares`, the share of the speaking time of each
        emotion; `segments`, passages of one emotion with their `start` and `end` in seconds.
    """
    with work.question("timeline", request) as question:
        return timeline_dict(answer_program(audio, question))


def answer_program(audio: str | None, question: Question) -> Prediction:
    """The prediction for a program, or an error that it can show."""
    if audio is None:
        raise refusal("No recording was given: give the path or the URL of one as `audio`.")
    check_model()
    try:
        return loading.result().predict(load(audio), sampling_rate=SAMPLING_RATE, progress=question.progress)
    except AudioError as error:
        raise refusal(name_only(error, audio)) from error


def batch(files: FilesOrAddresses | None, request: gr.Request) -> list[FileDict]:
    """Tell which emotion the voice in each of several recordings expresses.

    Args:
        files: Up to 20 recordings in wav, flac, ogg or mp3, each up to an hour and 200 MB: uploaded files, or
            addresses that begin with https:// or data:.

    Returns:
        For each file, in the same order, its `name` and either its `prediction`, as of predict, or the `problem` with
        it, a sentence; one bad file does not keep the others from being answered.
    """
    with work.question("batch", request) as question:
        count = 0 if files is None else len(files.root)
        if not 1 <= count <= limits.REQUEST_FILES:
            raise refusal(f"Give 1 to {limits.REQUEST_FILES} recordings as `files`; got {count}.")
        check_model()
        return list(answers_for_programs(loading.result(), files, recordings.name, question.progress))


def check_model() -> None:
    """Tell whoever asks that the model is missing, if it is."""
    if loading.exception() is not None:
        raise refusal(ENGLISH["model_missing"])


file_limits = {"max_megabytes": limits.RECORDING_MEGABYTES, "max_minutes": round(limits.RECORDING_SECONDS / 60)}

with PoliteBlocks(title=ENGLISH["title"], delete_cache=(limits.SWEEP_SECONDS, limits.KEPT_SECONDS)) as demo:
    with gr.Column(elem_id="page-header"):
        gr.Markdown(translate("heading"))
        gr.Markdown(translate("introduction"))
        header = drawn("header", None)
    with gr.Tabs(elem_id="parts"):
        with gr.Tab(translate("tab_speak")):
            with gr.Column(elem_id="stage"):
                drawn("microphone", None, limit_seconds=limits.MICROPHONE_SECONDS, offers_voice=True)
                card = drawn("answer", blank("empty"), emotions=[])
                examples()
                voice = drawn("voice", None, **file_limits)
                voice.data_model = FileData
            look = gr.Button(translate("inside"), size="md", elem_id="look")
            inside = drawn("inside", None)
        with gr.Tab(translate("tab_live")):
            talk = drawn("live", None, now=None, limit_seconds=limits.LIVE_SECONDS)
        with gr.Tab(translate("tab_voice"), elem_id="my-voice-tab"):
            own_voice = drawn(
                "my_voice",
                None,
                known=None,
                sentences=my_voice.SENTENCES,
                max_sentences=limits.VOICE_SENTENCES,
                largest_factor=my_voice.LARGEST_FACTOR,
                limit_seconds=limits.VOICE_SECONDS,
            )
        with gr.Tab(translate("tab_many")):
            many = drawn("many", None, table=no_files(), max_files=limits.REQUEST_FILES, **file_limits)
            many.data_model = ListFiles
        with gr.Tab(translate("tab_about")):
            model_card = drawn("about", None)
    gr.Markdown(translate("privacy"), elem_id="privacy")

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    queued = {"concurrency_limit": limits.AT_ONCE, "concurrency_id": "recognizer"}
    demo.load(introduce_model, outputs=[card, header, model_card], queue=False, **quiet)
    gr.on([voice.submit, own_voice.apply], answer, voice, card, trigger_mode="always_last", **quiet, **queued)
    voice.submit(lambda: None, outputs=inside, queue=False, **quiet)
    look.click(show_inside, voice, inside, **quiet, **queued)
    talk.submit(hear, talk, talk, queue=False, trigger_mode="multiple", **quiet)
    one_voice = {"concurrency_limit": 1, "concurrency_id": "voice"}  # a sentence waits for no long recording
    own_voice.submit(learn_voice, own_voice, own_voice, trigger_mode="multiple", **quiet, **one_voice)
    demo.unload(forget)
    many.submit(answer_many, many, many, trigger_mode="always_last", **quiet, **queued)

    with gr.Row(visible=False):  # the doors for programs, also as tools of an MCP server
        audio = gr.Audio(label="Recording", type="filepath")
        files = recordings_input()
        prediction = typed_json(PredictionDict, label="Prediction")
        over_time = typed_json(TimelineDict, label="Timeline")
        predictions = typed_json(list[FileDict], label="Predictions")
        gr.Button().click(predict, audio, prediction, api_name="predict", **queued)
        gr.Button().click(timeline, audio, over_time, api_name="timeline", **queued)
        gr.Button().click(batch, files, predictions, api_name="batch", **queued)


demo.journal = journal
line = Line(demo, journal)
keeper = Doorkeeper(line, health, journal, Uploads(Path(recordings.name)))
journal.gauges |= {
    "ser_live_streams": lambda: len(streams.visits),
    "ser_queue_waiting": lambda: len(line.events()),
    "ser_uploads_bytes": keeper.uploads.size,
}


def serve() -> None:
    """Serve the page until the process is told to end; then answer what was asked, for a while, and leave nothing."""
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: told.set())
    demo.queue(max_size=limits.WAITING, api_open=False).launch(
        theme=theme(),
        css=stylesheet(),
        head=shared_scripts(),
        i18n=translate,
        max_file_size=limits.RECORDING_MEGABYTES * gr.FileSize.MB,
        footer_links=["api"],
        run_history=False,
        ssr_mode=False,
        mcp_server=True,
        state_session_capacity=limits.SESSIONS,
        app_kwargs={"middleware": [Middleware(Doors, keeper=keeper), Middleware(FirstScript)]},
        prevent_thread_lock=True,
    )
    told.wait()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever presses Ctrl-C again does not want to wait
    end()


def end() -> None:
    """End the process, once what was asked is answered or the time for it is over."""
    keeper.stopping = True
    wait_until(keeper.is_done, limits.STOP_SECONDS)
    work.give_up()
    keeper.dismiss()
    wait_until(lambda: not keeper.busy, GIVE_UP_SECONDS)
    demo.close(verbose=False)
    recordings.cleanup()
    logging.shutdown()
    os._exit(0)  # threads of libraries that are still busy would abort the process in an orderly end


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    """Return when something is true, or after so many seconds."""
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)


if __name__ == "__main__":
    log_requests()
    serve()
