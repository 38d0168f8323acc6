"""Content and state of the page: texts, streams of live visitors, tables of files, figures of the model."""

import base64
import json
import re
import shutil

import numpy as np
import pytest
import soundfile

from page import limits
from page.about import about, corpus_title
from page.answer import MAX_MOMENTS, describe
from page.components import shared_scripts
from page.inside import MAX_SECONDS, look_inside
from page.live import Chunk, LiveStreams
from page.many import tables
from page.texts import ENGLISH, TEXTS
from scripts.page_client import encoded
from ser_model.audio_io import SAMPLING_RATE
from ser_model.metrics_file import weights_sha256
from ser_model.prediction import Prediction, Segment
from ser_model.recognizer import PRETRAINED, EmotionRecognizer
from tests.conftest import LABELS
from train.augment.voice import speech_like
from train.data import CORPORA


PLACEHOLDER = re.compile(r"{\w+}")
COUNTS = [[8, 2], [1, 3]]


@pytest.fixture(scope="module")
def recognizer(checkpoint) -> EmotionRecognizer:
    return EmotionRecognizer.from_pretrained(checkpoint)


def chunk(samples: np.ndarray, number: int = 0) -> Chunk:
    return Chunk(number=number, rate=SAMPLING_RATE, samples=encoded(samples))


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_every_language_says_everything(language):
    texts = TEXTS[language]
    assert set(texts) == set(ENGLISH)
    for key, text in texts.items():
        assert text.strip(), key
        assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(ENGLISH[key])), key


def test_languages():
    assert set(TEXTS) == {"en", "es", "de", "zh", "hi"}


def test_texts_cannot_end_the_script():
    assert shared_scripts().count("</script>") == 1


def test_long_answer_is_drawn_by_few_moments_and_saved_whole(recognizer):
    waveform = np.tile(speech_like(10.0), 20)
    prediction = recognizer.predict(waveform, sampling_rate=SAMPLING_RATE)
    answer = describe(prediction, waveform, "talk")
    assert len(answer["segments"]) <= MAX_MOMENTS
    assert len(json.loads(answer["files"]["json"])["moments"]) == 200
    assert json.loads(answer["stretches"])[-1][1] == pytest.approx(200.0)
    assert sum(share["probability"] for share in answer["shares"]) == pytest.approx(1.0)
    assert set(answer["files"]) == {"csv", "json", "txt"}


def test_answer_to_an_hour_stays_small():
    scores = np.random.default_rng(0).dirichlet(np.ones(7), 3600)
    spoken = [row if index % 10 else None for index, row in enumerate(scores)]
    segments = [
        Segment.from_probabilities(LABELS, row, start=index, end=index + 1) for index, row in enumerate(spoken)
    ]
    prediction = Prediction.from_probabilities(LABELS, scores.mean(0), duration=3600.0, segments=tuple(segments))
    answer = describe(prediction, np.zeros(3600 * 100, np.float32), "meeting")
    lines = json.loads(answer["stretches"])
    assert len(lines) > 2000
    assert lines[0] == [0, 1, "", 0.0]
    assert lines[1][2] == segments[1].label
    files = answer.pop("files")
    assert len(json.dumps(answer)) < 250_000
    assert len(json.dumps(files)) < 3_000_000


def test_short_answer_can_be_saved(recognizer, speech):
    answer = describe(recognizer.predict(speech, sampling_rate=SAMPLING_RATE), speech, "hello")
    assert set(answer["files"]) == {"csv", "json"}
    assert json.loads(answer["files"]["json"])["label"] == answer["ranking"][0]["emotion"]


def test_silence_has_nothing_to_save(recognizer):
    silence = np.zeros(SAMPLING_RATE, np.float32)
    assert describe(recognizer.predict(silence, sampling_rate=SAMPLING_RATE), silence, "hush")["files"] == {}


def test_every_second_reaches_the_picture(recognizer):
    waveform = np.concatenate([np.tile(speech_like(10.0), 20), np.zeros(5 * SAMPLING_RATE)])
    prediction = recognizer.predict(waveform, sampling_rate=SAMPLING_RATE)
    emotions, rows = json.loads(describe(prediction, waveform, "talk")["fine"])
    assert emotions == list(prediction.scores)
    assert len(rows) == len(prediction.segments)
    assert rows[-1] == [205.0]
    assert [share / 1000 for share in rows[0][1:]] == pytest.approx(
        list(prediction.segments[0].scores.values()), abs=1e-3
    )


@pytest.mark.parametrize("reason", ["undecodable", "no_audio", "no_samples", "too_long", "unusable"])
def test_every_problem_with_a_recording_has_words(reason):
    assert f"problem_{reason}" in ENGLISH


def test_live_visitor_is_heard_until_stop(recognizer, speech):
    streams = LiveStreams()
    first = streams.hear("a", chunk(speech), recognizer)
    second = streams.hear("a", chunk(speech, 1), recognizer)
    assert first["state"] == second["state"] == "speech"
    assert (second["number"], second["start"], second["end"]) == (1, pytest.approx(3.0), pytest.approx(6.0))
    assert sum(second["scores"].values()) == pytest.approx(1.0)
    stop = streams.hear("a", Chunk(number=2, rate=0, samples=""), recognizer)
    assert stop["state"] == "stopped"
    assert streams.visits == {}


def test_live_visitors_do_not_hear_one_another(recognizer, speech):
    streams = LiveStreams()
    streams.hear("a", chunk(speech), recognizer)
    assert streams.hear("b", chunk(np.zeros(8000)), recognizer)["state"] == "silent"
    assert streams.hear("a", chunk(np.zeros(8000), 1), recognizer)["start"] == pytest.approx(3.0)


def test_live_ends_by_itself(recognizer, speech, monkeypatch):
    monkeypatch.setattr(limits, "LIVE_SECONDS", 5.0)
    streams = LiveStreams()
    states = [streams.hear("a", chunk(speech, number), recognizer)["state"] for number in range(3)]
    assert states == ["speech", "limit", "stopped"]
    assert streams.visits == {}


def test_live_has_room_for_so_many(recognizer, speech, monkeypatch):
    monkeypatch.setattr(limits, "LIVE_STREAMS", 1)
    streams = LiveStreams()
    streams.hear("a", chunk(speech), recognizer)
    assert streams.hear("b", chunk(speech), recognizer)["state"] == "busy"
    assert streams.hear("a", chunk(speech), recognizer)["state"] == "speech"  # begins anew
    streams.leave("a")
    assert streams.hear("b", chunk(speech), recognizer)["state"] == "speech"


def test_live_forgets_whoever_falls_silent(recognizer, speech):
    now = [0.0]
    streams = LiveStreams(clock=lambda: now[0])
    for name in map(str, range(limits.LIVE_STREAMS)):
        assert streams.hear(name, chunk(speech), recognizer, address=name)["state"] == "speech"
    now[0] = limits.LIVE_IDLE_SECONDS - 1
    assert streams.hear("0", chunk(speech, 1), recognizer)["state"] == "speech"
    assert streams.hear("late", chunk(speech), recognizer, address="late")["state"] == "busy"
    now[0] += 2
    assert streams.hear("late", chunk(speech), recognizer, address="late")["state"] == "speech"
    assert set(streams.visits) == {"0", "late"}
    assert streams.hear("1", chunk(speech, 1), recognizer)["state"] == "stopped"


@pytest.mark.parametrize("addresses", [1, 2, 4])
def test_attackers_cannot_keep_others_from_speaking(recognizer, addresses):
    """Addresses that open all the streams they can, again and again, while honest ones come one by one."""
    now = [0.0]
    streams = LiveStreams(clock=lambda: now[0])
    quiet = np.zeros(800)
    numbers = dict.fromkeys(("anna", "ben", "carla", "dev"), 0)
    for second in range(12):
        now[0] += 1.0
        for attempt in range(40):
            name = f"{second}.{attempt}"
            streams.hear(name, chunk(quiet), recognizer, address=f"attacker{attempt % addresses}")
        for honest in list(numbers)[: second + 1]:
            answer = streams.hear(honest, chunk(quiet, numbers[honest]), recognizer, address=honest)
            assert answer["state"] == "silent", (second, honest)
            numbers[honest] += 1
    assert len(streams.visits) == limits.LIVE_STREAMS if addresses > 1 else limits.LIVE_STREAMS_OF_ADDRESS + 4


def test_idlest_stream_of_the_fullest_address_makes_room(recognizer, monkeypatch):
    monkeypatch.setattr(limits, "LIVE_STREAMS", 4)
    now = [0.0]
    streams = LiveStreams(clock=lambda: now[0])
    for name, address in [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")]:
        streams.hear(name, chunk(np.zeros(800)), recognizer, address)
        now[0] += 1
    streams.hear("a1", chunk(np.zeros(800), 1), recognizer, "a")
    assert streams.hear("c1", chunk(np.zeros(800)), recognizer, "c")["state"] == "silent"
    assert set(streams.visits) == {"a1", "a3", "b1", "c1"}
    assert streams.hear("c2", chunk(np.zeros(800)), recognizer, "c")["state"] == "busy"  # it would only be a swap
    assert streams.hear("d1", chunk(np.zeros(800)), recognizer, "d")["state"] == "silent"
    assert {visit.address for visit in streams.visits.values()} == {"a", "b", "c", "d"}


def test_chunks_of_a_visitor_come_one_by_one(recognizer, speech):
    streams = LiveStreams()
    streams.hear("a", chunk(speech), recognizer)
    with streams.visits["a"].turn:
        assert streams.hear("a", chunk(speech, 1), recognizer)["state"] == "busy"
    assert streams.hear("a", chunk(speech, 1), recognizer)["state"] == "speech"


MINUTES = "A" * (1 << 20)  # of a second or two at the rate of a sound card


@pytest.mark.parametrize(
    "bad",
    [
        *({"number": 0, "rate": 16000, "samples": samples} for samples in ("no base64!", "QQ==", None, 7, ["QUE="])),
        *({"number": 0, "rate": rate, "samples": "QUE="} for rate in (7, None, "16000", True, 10**400, 1e9)),
        *({"number": number, "rate": 16000, "samples": "QUE="} for number in (None, "0", -1, 1.5, [])),
        *(None, [], "QUE=", 1, {}),
        {"number": 0, "rate": 1000, "samples": MINUTES},
    ],
    ids=lambda bad: repr(bad)[:60],
)
def test_bad_chunk_ends_the_stream(recognizer, speech, bad):
    streams = LiveStreams()
    streams.hear("a", chunk(speech), recognizer)
    assert streams.hear("a", bad, recognizer)["state"] == "problem"
    assert streams.visits == {}


def test_table_grows_and_names_bad_files(recognizer, speech_file, tmp_path):
    (tmp_path / "diary.wav").write_bytes(b"no sound" * 99)
    first, last = tables(recognizer, [str(speech_file), str(tmp_path / "diary.wav")])
    assert (len(first["rows"]), first["csv"]) == (1, "")
    good, bad = last["rows"]
    assert (good["problem"], len(good["ranking"])) == ("", len(LABELS))
    assert (bad["problem"], bad["ranking"]) == ("problem_undecodable", [])
    header, *lines = last["csv"].splitlines()
    assert header.startswith("file,seconds,emotion,probability,angry,")
    assert [line.split(",")[0] for line in lines] == ["speech.wav", "diary.wav"]
    assert {line.count(",") >= header.count(",") for line in lines} == {True}


def test_table_takes_twenty(recognizer, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000), SAMPLING_RATE)
    *_, last = tables(recognizer, [str(tmp_path / "silence.wav")] * 25)
    assert len(last["rows"]) == len(last["csv"].splitlines()) - 1 == limits.REQUEST_FILES


def test_table_has_a_limit_of_time(recognizer, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 5.0)
    soundfile.write(tmp_path / "silence.wav", np.zeros(2 * SAMPLING_RATE), SAMPLING_RATE)
    *_, last = tables(recognizer, [str(tmp_path / "silence.wav")] * 4)
    problems = [row["problem"] for row in last["rows"]]
    assert problems == ["", "", "problem_too_much", "problem_too_much"]


def test_recording_has_a_limit_of_time(recognizer, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "RECORDING_SECONDS", 1.0)
    soundfile.write(tmp_path / "silence.wav", np.zeros(2 * SAMPLING_RATE), SAMPLING_RATE)
    *_, last = tables(recognizer, [str(tmp_path / "silence.wav")])
    assert last["rows"][0]["problem"] == "problem_too_long"


def test_inside_of_a_recording(recognizer, speech):
    inside = look_inside(recognizer.backend, np.tile(speech, 20))
    assert inside["is_cut"]
    assert inside["duration"] == MAX_SECONDS
    spectrogram = inside["spectrogram"]
    content = np.frombuffer(base64.b64decode(spectrogram["values"]), np.uint8)
    assert content.size == spectrogram["columns"] * spectrogram["rows"]
    assert (content.min(), content.max()) == (0, 255)
    assert max(inside["attention"]) == 1.0
    assert (inside["start"], inside["end"]) == (0.0, MAX_SECONDS)


def test_inside_shows_which_part_is_heard(recognizer, speech, monkeypatch):
    monkeypatch.setattr(recognizer.backend.extractor, "trim_db", 30.0)
    silence = np.zeros(SAMPLING_RATE, np.float32)
    inside = look_inside(recognizer.backend, np.concatenate([silence, speech, silence]))
    assert inside["start"] == pytest.approx(1.0, abs=0.1)
    assert inside["end"] == pytest.approx(4.0, abs=0.1)


def test_corpora_are_written_as_in_training():
    assert {name: corpus_title(name) for name in CORPORA} == {name: corpus.title for name, corpus in CORPORA.items()}


def test_figures_of_the_model(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "model")
    metrics = {
        "weights_sha256": weights_sha256(folder),
        "protocol": "speaker-disjoint",
        "labels": ["angry", "sad"],
        "confusion_matrix": COUNTS,
        **{"clips": 14, "speakers": 3, "uar": 0.775, "calibration_error": 0.1, "parameters": 12},
        "recall": {"angry": 0.8, "sad": 0.75},
        "uar_by_language": {"en": 0.775},
        "corpora": {"crema_d": {"calibration_error": 0.08}, "tess": {"calibration_error": 0.12}},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    recipe = {"name": "small", "corpora": ["crema_d", "emodb"], "speakers": ["a", "b"]}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    figures = about(folder, "model")
    assert (figures["name"], figures["corpora"], figures["speakers"]) == ("small", ["CREMA-D", "EmoDB"], 2)
    assert figures["quality"]["unseen"] is True
    assert (figures["quality"]["calibration_error"], figures["quality"]["worst_calibration_error"]) == (0.1, 0.12)
    assert figures["quality"]["confusion"] == [[0.8, 0.2], [0.25, 0.75]]
    assert re.fullmatch(r"[0-9a-f]{8}", figures["version"])


@pytest.mark.parametrize("content", ["{", "[]", '{"protocol": 3}', '{"weights_sha256": "of other weights"}'])
def test_figures_that_are_damaged_or_of_other_weights_are_not_shown(checkpoint, tmp_path, caplog, content):
    folder = shutil.copytree(checkpoint, tmp_path / "model")
    metrics = json.loads((PRETRAINED / "metrics.json").read_text())
    changed = content if ":" not in content else json.dumps(metrics | json.loads(content))
    (folder / "metrics.json").write_text(changed)
    (folder / "recipe.json").write_text("no JSON")
    figures = about(folder, "my model")
    assert (figures["name"], figures["quality"], figures["corpora"]) == ("my model", None, [])
    assert [record.message for record in caplog.records if "metrics.json" in record.message]
    assert "recipe.json is damaged" in caplog.text


def test_model_without_figures(checkpoint):
    figures = about(checkpoint, "my model")
    assert (figures["name"], figures["quality"], figures["corpora"]) == ("my model", None, [])
