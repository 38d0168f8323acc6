"""Corpora: official names, layouts, defects, messages, and the dataset that comes out."""

import csv
import hashlib
import json
import logging
import shutil
from collections import Counter
from pathlib import Path

import pytest
from datasets import ClassLabel

from tests.train.generated_corpora import make_corpus
from train.data import (
    COMMON_LABELS,
    CORPORA,
    CorpusError,
    identical_files,
    load_corpora,
    load_corpus,
    verify_checksums,
)
from train.data.corpora.ased import COMMON_SENTENCES
from train.data.corpora.iemocap import FOUR_LABEL_MAP, FOUR_LABELS


COLUMNS = ["path", "label", "speaker", "sex", "corpus", "language", "intensity", "sentence"]
PARSED = [name for name, corpus in CORPORA.items() if corpus.parse]


def parsed(name: str, path: str) -> tuple | None:
    utterance = CORPORA[name].parse(Path("/corpus", path))
    fields = ("label", "speaker", "sex", "language", "intensity", "sentence")
    return utterance and tuple(getattr(utterance, field) for field in fields)


def write_table(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


# --- official names ---


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("ravdess", "Actor_12/03-01-06-02-01-01-12.wav", ("fearful", "ravdess-12", "female", "en", "strong", "01")),
        ("ravdess", "Actor_07/03-01-02-01-02-02-07.flac", ("calm", "ravdess-07", "male", "en", "normal", "02")),
        ("tess", "OAF_pleasant_surprised/OAF_bite_ps.wav", ("surprised", "tess-OAF", "female", "en", "", "bite")),
        ("tess", "OAF_neutral/OA_bite_neutral.ogg", ("neutral", "tess-OAF", "female", "en", "", "bite")),
        ("tess", "YAF_jug_pleasant_surprise.wav", ("surprised", "tess-YAF", "female", "en", "", "jug")),
        ("tess", "YAF_fear/YAF_youth_fear.wav", ("fearful", "tess-YAF", "female", "en", "", "youth")),
        ("crema_d", "AudioWAV/1001_IEO_ANG_HI.wav", ("angry", "crema_d-1001", "male", "en", "high", "IEO")),
        ("crema_d", "AudioWAV/1091_TSI_NEU_XX.wav", ("neutral", "crema_d-1091", "female", "en", "", "TSI")),
        ("crema_d", "AudioWAV/1040_ITH_SAD_X.wav", ("sad", "crema_d-1040", "male", "en", "", "ITH")),
        ("savee", "ALL/DC_sa15.wav", ("sad", "savee-DC", "male", "en", "", "sa15")),
        ("savee", "AudioData/KL/su03.wav", ("surprised", "savee-KL", "male", "en", "", "su03")),
        ("savee", "AudioData/je/n30.wav", ("neutral", "savee-JE", "male", "en", "", "n30")),
        ("emodb", "wav/03a01Fa.wav", ("happy", "emodb-03", "male", "de", "", "a01")),
        ("emodb", "16b10Lb.wav", ("boredom", "emodb-16", "female", "de", "", "b10")),
        ("ased", "04Sad/S4-04-02-01-29.wav", ("sad", "ased-29", "female", "am", "", "s04")),
        ("ased", "05Angry/a5-02-01-02-65.wav", ("angry", "ased-65", "male", "am", "", "02")),
        ("ased", "02Fearful/f2-01-01-02-15.wav", ("fearful", "ased-15", "female", "am", "", "01")),
        ("nemo", "samples/SM0_fear_12.wav", ("fearful", "nemo-SM0", "male", "pl", "", "12")),
        ("nemo", "KD0_surprised_7.ogg", ("surprised", "nemo-KD0", "female", "pl", "", "7")),
        (
            "emospeechcmd",
            "webservice/yes-safe-calm-1566230417447-c075fd686af87852a972fac60d6a95d99173a5009fa7ee860e7caeea.ogg",
            ("calm", "emospeechcmd-c075fd68", "unknown", "en", "", "yes"),
        ),
        (
            "emospeechcmd",
            "webservice/help-safe-fearful-??-3d9d3e0eb86e940eb4b15e5b1fe903aa01080f176dffc7547c677ce3.ogg",
            ("fearful", "emospeechcmd-3d9d3e0e", "unknown", "en", "", "help"),
        ),
    ],
)
def test_official_name(name, path, expected):
    assert parsed(name, path) == expected


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ravdess", "Actor_01/03-02-03-01-01-01-01.wav"),  # song
        ("ravdess", "Actor_01/01-01-03-01-01-01-01.wav"),  # sound of the video
        ("ravdess", "Actor_01/02-01-03-01-01-01-01.wav"),  # video without sound
        ("ravdess", "Actor_25/03-01-03-01-01-01-25.wav"),  # no such actor
        ("ravdess", "Actor_01/03-01-09-01-01-01-01.wav"),  # no such emotion
        ("tess", "OAF_back_calm.wav"),
        ("crema_d", "AudioWAV/1076_MTI_SAD_XX.wav"),  # no audio signal
        ("crema_d", "AudioWAV/1092_IEO_ANG_HI.wav"),
        ("savee", "AudioData/XX/a01.wav"),
        ("emodb", "17a01Fa.wav"),
        ("ased", "66Sad/s4-04-02-01-66.wav"),
        ("nemo", "samples/XX0_fear_12.wav"),
        ("nemo", "samples/SM0_disgust_12.wav"),
        ("emospeechcmd", "Railway/go-safe-happy-1563096887439-d14a028c2a3a2bc9476102bb288234c4.ogg"),  # user not known
    ],
)
def test_other_name_is_no_clip_of_the_corpus(name, path):
    assert parsed(name, path) is None


@pytest.mark.parametrize("name", CORPORA)
def test_description(name):
    corpus = CORPORA[name]
    assert corpus.name == name
    assert "-" not in name
    assert set(corpus.labels.values()) - set(COMMON_LABELS) <= {"boredom", "excited", "frustrated"}
    assert all(speaker.startswith(f"{name}-") for speaker in corpus.speakers)
    assert set(corpus.speakers.values()) <= {"female", "male"} or set(corpus.speakers.values()) == {"unknown"}
    assert (corpus.parse is None) != (corpus.read is None)


def test_examples_of_the_messages_are_names_of_clips():
    for name in PARSED:
        assert parsed(name, CORPORA[name].example.split()[0])


# --- datasets from generated corpora ---


@pytest.mark.parametrize("name", CORPORA)
def test_generated_corpus(name, tmp_path):
    make_corpus(name, tmp_path, speakers=3, clips_per_label=2)
    dataset = load_corpus(name, tmp_path)
    corpus = CORPORA[name]
    assert dataset.column_names == COLUMNS
    labels = dataset.features["label"]
    assert isinstance(labels, ClassLabel)
    assert sorted(labels.names) == sorted(corpus.labels.values())
    assert Counter(dataset["label"]) == {label: 2 * len(set(dataset["speaker"])) for label in range(len(labels.names))}
    assert len(set(dataset["speaker"])) == min(3, len(corpus.speakers))
    assert all(corpus.speakers[row["speaker"]] == row["sex"] for row in dataset)
    assert set(dataset["corpus"]) == {name}
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in dataset["path"])
    assert list(dataset["path"]) == sorted(dataset["path"])
    assert load_corpus(name, tmp_path)._fingerprint == dataset._fingerprint


def test_labels_are_mapped_dropped_and_counted(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    for name in ("ravdess", "emodb"):
        make_corpus(name, tmp_path, speakers=2, clips_per_label=2)
    labels = ["sad", "neutral", "happy"]
    dataset = load_corpora(
        ["emodb", "ravdess"], tmp_path, labels=labels, label_map={"calm": "neutral", "boredom": None, "angry": "sad"}
    )
    assert dataset.features["label"].names == labels
    counts = Counter(
        (corpus, labels[label]) for corpus, label in zip(dataset["corpus"], dataset["label"], strict=True)
    )
    assert counts == {
        ("emodb", "sad"): 8,
        ("emodb", "neutral"): 4,
        ("emodb", "happy"): 4,
        ("ravdess", "sad"): 8,
        ("ravdess", "neutral"): 8,
        ("ravdess", "happy"): 4,
    }
    assert list(dict.fromkeys(dataset["corpus"])) == ["emodb", "ravdess"]
    messages = {(record.levelname, record.getMessage()) for record in caplog.records}
    assert ("INFO", "EmoDB: left out 4 clips labelled boredom") in messages
    ravdess = "4 clips labelled disgust, 4 clips labelled fearful, 4 clips labelled surprised"
    assert ("WARNING", f"RAVDESS: left out {ravdess}") in messages


def test_label_that_no_clip_has_is_logged(tmp_path, caplog):
    make_corpus("tess", tmp_path, clips_per_label=1)
    load_corpus("tess", tmp_path, labels=["happy", "calm"])
    assert "no clip is labelled calm" in caplog.text


@pytest.mark.parametrize(
    ("labels", "label_map", "message"),
    [
        (["happy", "happy"], {}, "each once"),
        ([], {}, "each once"),
        (["hapy"], {}, "Did you mean 'happy'"),
        (["happy"], {"boredum": None}, "Did you mean 'boredom'"),
        (["happy"], {"calm": "neutral"}, "not among happy"),
        (["boredom"], {}, "no clip has one of the labels boredom"),
    ],
)
def test_labels_that_do_not_fit(tmp_path, labels, label_map, message):
    make_corpus("tess", tmp_path, clips_per_label=1)
    with pytest.raises(CorpusError, match=message):
        load_corpora(["tess"], tmp_path, labels=labels, label_map=label_map)


def test_label_map_may_make_a_new_label(tmp_path):
    make_corpus("tess", tmp_path, clips_per_label=1)
    dataset = load_corpora(["tess"], tmp_path, labels=["aroused"], label_map={"happy": "aroused", "angry": "aroused"})
    assert len(dataset) == 4


# --- IEMOCAP ---


def test_iemocap_full_and_four_labels(tmp_path):
    make_corpus("iemocap", tmp_path, speakers=10, clips_per_label=2)
    full = load_corpus("iemocap", tmp_path)
    assert len(full) == 10 * 9 * 2
    four = load_corpora(["iemocap"], tmp_path, labels=FOUR_LABELS, label_map=FOUR_LABEL_MAP)
    assert Counter(four["label"]) == {0: 20, 1: 40, 2: 20, 3: 20}


def test_iemocap_reads_only_what_counts(tmp_path):
    folder = make_corpus("iemocap", tmp_path, speakers=["iemocap-Ses01F"], clips_per_label=1)
    evaluation = folder / "Session1/dialog/EmoEvaluation"
    listed = sorted(evaluation.glob("*.txt"))[0]
    clip = next(folder.rglob("*.wav"))
    with open(listed, "a") as file:
        file.write("[8.0 - 9.0]\tSes01M_impro01_F990\txxx\t[2.5, 2.5, 2.5]\n")  # no agreement
        file.write("[9.0 - 9.5]\tSes01M_impro01_F991\toth\t[2.5, 2.5, 2.5]\n")  # other
        file.write("[9.5 - 9.9]\tSes01M_impro01_F992\tang\t[2.5, 2.5, 2.5]\n")  # its clip is missing
        file.write("[10.0 - 12.0]\tSes01F_script01_1_M000\tsad\t[2.5, 2.5, 2.5]\n")
    for name in ("Ses01M_impro01_F990", "Ses01M_impro01_F991", "Ses01F_script01_1_M000"):
        shutil.copy(clip, clip.with_name(f"{name}.wav"))
    (evaluation / "Categorical").mkdir()
    shutil.copy(listed, evaluation / "Categorical/Ses01M_impro01_e2_cat.txt")
    shutil.copy(listed, evaluation / f"._{listed.name}")
    dataset = load_corpus("iemocap", tmp_path)
    assert len(dataset) == 9 + 1
    scripted = [row for row in dataset if row["sentence"] == "script01_1"]
    assert [(row["speaker"], row["sex"]) for row in scripted] == [("iemocap-Ses01M", "male")]


# --- where a corpus is found ---


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("ravdess", "Audio_Speech_Actors_01-24"),
        ("ravdess", "downloads/RAVDESS"),
        ("ravdess", "a/b/ravdess-emotional-speech-audio"),
        ("tess", "TESS Toronto emotional speech set data"),
        ("crema_d", "CREMA-D"),
        ("crema_d", "Crema D"),
        ("emodb", "EMO-DB"),
        ("iemocap", "IEMOCAP_full_release"),
    ],
)
def test_usual_folders(name, folder, tmp_path):
    made = make_corpus(name, tmp_path / "made", speakers=1, clips_per_label=1)
    (tmp_path / "corpora" / folder).parent.mkdir(parents=True)
    made.rename(tmp_path / "corpora" / folder)
    assert len(load_corpus(name, tmp_path / "corpora")) == len(CORPORA[name].labels)


@pytest.mark.parametrize("name", CORPORA)
def test_root_may_be_the_corpus_itself(name, tmp_path):
    made = make_corpus(name, tmp_path, speakers=1, clips_per_label=1)
    root = made.rename(tmp_path / "data")
    assert len(load_corpus(name, root)) == len(CORPORA[name].labels)


def test_corpora_side_by_side_are_not_mixed_up(tmp_path):
    expected = {}
    for name in CORPORA:
        make_corpus(name, tmp_path, speakers=1, clips_per_label=1)
        expected[name] = len(CORPORA[name].labels)
    assert {name: len(load_corpus(name, tmp_path)) for name in CORPORA} == expected
    for number, name in enumerate(CORPORA):
        (tmp_path / name).rename(tmp_path / f"part {number}")
    assert {name: len(load_corpus(name, tmp_path)) for name in CORPORA} == expected


def test_empty_folder_of_the_right_name_is_passed_over(tmp_path):
    (tmp_path / "CREMA-D").mkdir()
    make_corpus("crema_d", tmp_path / "made", speakers=1, clips_per_label=1)
    (tmp_path / "made/crema_d/AudioWAV").rename(tmp_path / "AudioWAV")
    assert len(load_corpus("crema_d", tmp_path)) == 6


def test_link_to_a_folder_is_followed_and_a_loop_ends(tmp_path):
    made = make_corpus("tess", tmp_path / "made", speakers=1, clips_per_label=1)
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora/tess").symlink_to(made, target_is_directory=True)
    (made / "loop").symlink_to(made, target_is_directory=True)
    assert len(load_corpus("tess", tmp_path / "corpora")) == 7


def test_other_suffixes_and_hidden_files(tmp_path):
    made = make_corpus("tess", tmp_path, speakers=["tess-OAF"], clips_per_label=1)
    clips = sorted(made.rglob("*.wav"))
    for clip, suffix in zip(clips, (".flac", ".OGG", ".mp3", ".txt"), strict=False):
        clip.rename(clip.with_suffix(suffix))
    (clips[4].parent / f"._{clips[4].name}").write_bytes(b"\0" * 500)
    assert len(load_corpus("tess", tmp_path)) == 6


# --- defects and messages ---


def test_missing_actor_is_named(tmp_path, caplog):
    actors = [f"ravdess-{actor:02d}" for actor in range(1, 25) if actor != 7]
    make_corpus("ravdess", tmp_path, speakers=actors, clips_per_label=1, duration_s=0.02)
    load_corpus("ravdess", tmp_path)
    assert "RAVDESS: found 184 of 1,440 clips; Actor_07 is missing" in caplog.text


def test_many_missing_speakers_are_counted(tmp_path, caplog):
    make_corpus("crema_d", tmp_path, speakers=["crema_d-1001"], clips_per_label=1)
    load_corpus("crema_d", tmp_path)
    assert "CREMA-D: found 6 of 7,441 clips; actor 1002, actor 1003," in caplog.text
    assert "actor 1011 and 80 more are missing" in caplog.text


def test_clips_in_two_trees_are_taken_once(tmp_path, caplog):
    made = make_corpus("ravdess", tmp_path, speakers=2, clips_per_label=2)
    shutil.copytree(made, tmp_path / "copy")
    shutil.move(tmp_path / "copy", made / "audio_speech_actors_01-24")
    assert len(load_corpus("ravdess", tmp_path)) == 32
    assert "RAVDESS: 32 files left out, the same clips again" in caplog.text


def test_lossless_copy_is_taken(tmp_path):
    made = make_corpus("crema_d", tmp_path, speakers=1, clips_per_label=1)
    shutil.copytree(made / "AudioWAV", made / "AudioMP3")
    for clip in (made / "AudioMP3").iterdir():
        clip.rename(clip.with_suffix(".mp3"))
    assert {Path(path).suffix for path in load_corpus("crema_d", tmp_path)["path"]} == {".wav"}


def test_identical_clips_are_noticed_and_kept(tmp_path, caplog):
    made = make_corpus("ravdess", tmp_path, speakers=["ravdess-07"], clips_per_label=4)
    first = made / "Actor_07/03-01-03-01-02-01-07.wav"
    second = made / "Actor_07/03-01-03-01-01-01-07.wav"
    shutil.copy(first, second)
    assert identical_files(map(str, sorted(made.rglob("*.wav")))) == [[str(second), str(first)]]
    assert len(load_corpus("ravdess", tmp_path)) == 32
    assert f"RAVDESS: byte-identical clips, all kept: {second}, {first}" in caplog.text


def test_files_that_agree_only_in_their_middle_are_not_identical(tmp_path):
    same, other, alike = (tmp_path / name for name in ("a", "b", "c"))
    content = bytes(range(256)) * 100
    same.write_bytes(content)
    other.write_bytes(b"x" + content[1:])
    alike.write_bytes(content)
    assert identical_files(map(str, (same, other, alike))) == [[str(same), str(alike)]]


def test_files_without_sound_are_left_out(tmp_path, caplog):
    made = make_corpus("crema_d", tmp_path, speakers=1, clips_per_label=1)
    clips = sorted(made.rglob("*.wav"))
    clips[0].write_bytes(b"")
    clips[1].write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 72862\n")
    assert len(load_corpus("crema_d", tmp_path)) == 4
    assert "CREMA-D: 2 of 6 files are smaller than 200 bytes" in caplog.text
    for clip in clips:
        clip.write_bytes(b"")
    with pytest.raises(CorpusError, match=r"CREMA-D: 6 of 6 files.*git lfs pull"):
        load_corpus("crema_d", tmp_path)


def test_aiff_inside_a_wav_is_not_looked_into(tmp_path):
    made = make_corpus("tess", tmp_path, speakers=1, clips_per_label=1)
    next(made.rglob("*.wav")).write_bytes(b"FORM\0\0\1\0AIFF" + b"\0" * 500)
    assert len(load_corpus("tess", tmp_path)) == 7


@pytest.mark.parametrize("name", CORPORA)
def test_corpus_that_is_not_there(name, tmp_path):
    with pytest.raises(CorpusError) as error:
        load_corpus(name, tmp_path)
    message = str(error.value)
    for part in (CORPORA[name].title, f"{CORPORA[name].clips:,} clips expected", str(tmp_path), CORPORA[name].example):
        assert part in message


def test_root_that_does_not_exist(tmp_path):
    with pytest.raises(CorpusError, match=r"RAVDESS: the folder of the corpora, .*nowhere, does not exist"):
        load_corpus("ravdess", tmp_path / "nowhere")


def test_unknown_corpus(tmp_path):
    with pytest.raises(
        CorpusError, match=r"unknown corpus 'ravdes'. Did you mean 'ravdess'\? Accepted are ravdess, te"
    ):
        load_corpus("ravdes", tmp_path)


@pytest.mark.parametrize("names", [[], ["tess", "tess"]])
def test_corpora_must_be_named_once(names, tmp_path):
    with pytest.raises(CorpusError, match="each once"):
        load_corpora(names, tmp_path, labels=["happy"])


# --- general corpora ---


@pytest.fixture
def clips(tmp_path) -> Path:
    """A folder for each label: `Anger` with folders of speakers, `joy` without."""
    source = make_corpus("tess", tmp_path / "made", speakers=1, clips_per_label=4)
    folder = tmp_path / "my-clips"
    for place in ("Anger/anna/1.wav", "Anger/ben/1.wav", "joy/2.wav", "stray.wav", "Bewildered/anna/x/3.wav"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(next(source.rglob("*.wav")), folder / place)
    return folder


def test_folder_per_label(clips, tmp_path, caplog):
    dataset = load_corpus(f"folder:{clips}", tmp_path)
    assert dataset.features["label"].names == ["angry", "happy", "bewildered"]
    rows = [(dataset.features["label"].int2str(row["label"]), row["speaker"], row["corpus"]) for row in dataset]
    assert rows == [
        ("angry", "my_clips-anna", "my_clips"),
        ("angry", "my_clips-ben", "my_clips"),
        ("bewildered", "my_clips-anna", "my_clips"),
        ("happy", "my_clips-unknown", "my_clips"),
    ]
    assert "my_clips: 1 clip left out, in no folder of a label" in caplog.text
    assert "my_clips: 1 clip without a speaker" in caplog.text


def test_folder_beside_registered_corpora(clips, tmp_path):
    make_corpus("tess", tmp_path, clips_per_label=1)
    dataset = load_corpora(["tess", "folder:my-clips"], tmp_path, labels=["angry", "happy"])
    assert Counter(dataset["corpus"]) == {"tess": 4, "my_clips": 3}


def test_csv_table(clips, tmp_path):
    table = write_table(
        clips / "list.csv",
        "\ufeffpath,label,speaker,sex,language,sentence",
        "Anger/anna/1.wav,Anger,anna,F,de,hallo",
        f"{clips / 'joy/2.wav'},happiness,,,,",
    )
    rows = load_corpus(f"table:{table}", tmp_path)
    first, second = sorted(rows, key=lambda row: row["label"])
    assert rows.features["label"].names == ["angry", "happy"]
    assert [first[column] for column in COLUMNS[2:]] == ["list-anna", "female", "list", "de", "", "hallo"]
    assert [second[column] for column in COLUMNS[2:]] == ["list-unknown", "unknown", "list", "unknown", "", ""]
    assert first["path"] == str(clips / "Anger/anna/1.wav")


def test_tab_separated_and_json_lines_tables(clips, tmp_path):
    tabs = write_table(clips / "tabs.tsv", "label\tpath\tspeaker", "sad\tjoy/2.wav\t7")
    lines = clips / "lines.jsonl"
    lines.write_text(json.dumps({"path": "joy/2.wav", "label": "sad", "speaker": 7, "sex": "male"}) + "\n\n")
    for table in (tabs, lines):
        (row,) = load_corpus(f"table:{table}", tmp_path)
        assert (row["speaker"], row["label"]) == (f"{table.stem}-7", 0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "clip,label\njoy/2.wav,sad\n", "line 2: no value for 'path'. Columns of this row: clip, label"),
        ("t.csv", "path,label\njoy/2.wav,NaN\n", "line 2: the label 'NaN' stands for a value that is not there"),
        ("t.csv", "path,label\njoy/2.wav,None\n", "line 2: the label 'None' stands for"),
        ("t.jsonl", '{"path": "joy/2.wav", "label": NaN}\n', "line 1: the label 'nan' stands for"),
        ("t.csv", "path,label\njoy/2.wav,\n", "line 2: no value for 'label'"),
        ("t.csv", "path,label\nno.wav,sad\nnot.wav,sad\n", r"2 clips not found; the first is .*no.wav \(line 2\)"),
        ("t.csv", "path,label\n", "no clip found"),
        ("t.jsonl", "{path: 1}\n", "line 1: no valid JSON"),
        ("t.jsonl", '["joy/2.wav", "sad"]\n', "line 1: list instead of an object"),
        ("t.xlsx", "", "accepted are .csv, .tsv, .jsonl, .ndjson"),
    ],
)
def test_table_with_errors(clips, tmp_path, name, content, message):
    (clips / name).write_text(content)
    with pytest.raises(CorpusError, match=message):
        load_corpus(f"table:{clips / name}", tmp_path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_tables_as_spreadsheets_write_them(clips, tmp_path, separator, encoding):
    rows = [[" File_Name ", "EMOTION", "spk", "Gender"], ["joy\\2.wav", "Freude", "Jürgen", "M"], ["", "", "", ""]]
    table = clips / "list.csv"
    table.write_bytes("\r\n".join(separator.join(row) for row in rows).encode(encoding))
    (row,) = load_corpus(f"table:{table}", tmp_path)
    assert (row["path"], row["speaker"], row["sex"]) == (str(clips / "joy/2.wav"), "list-Jürgen", "male")


def test_a_table_with_paths_from_home(clips, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    table = write_table(clips / "list.csv", "path,label", f"~/{clips.name}/joy/2.wav,happy")
    assert load_corpus(f"table:{table}", tmp_path)["path"][:] == [str(clips / "joy/2.wav")]


def folder_of(tmp_path, *places: str) -> Path:
    """A folder with something as large as a clip at each place; nothing is decoded."""
    for number, place in enumerate(places):
        path = tmp_path / "own" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * 500)
    return tmp_path / "own"


def test_a_folder_holds_all_that_can_be_read_and_the_rest_is_named(tmp_path, caplog):
    suffixes = ("wav", "m4a", "OPUS", "aiff", "webm", "caf", "mp4", "amr")
    folder = folder_of(tmp_path, *(f"sad/1.{suffix}" for suffix in suffixes), "sad/notes.txt", "sad/a.pdf")
    assert len(load_corpus(f"folder:{folder}", tmp_path)) == len(suffixes)
    assert "2 files left out, no recordings by name: " in caplog.text
    assert ".pdf (1)" in caplog.text


@pytest.mark.parametrize(
    ("layout", "speakers"),
    [
        ("{split}/{label}/{clip}", {"own-unknown"}),
        ("{speaker}/{label}/{clip}", {"own-anna", "own-joy"}),
        ("{label}/{speaker}/{clip}", {"own-anna", "own-joy"}),
        ("{split}/{speaker}/{label}/{clip}", {"own-anna", "own-joy"}),
        ("{split}/{label}/{speaker}/{clip}", {"own-anna", "own-joy"}),
    ],
)
def test_layouts_of_folders(tmp_path, layout, speakers):
    parts = [
        {"split": split, "speaker": speaker, "label": label, "clip": f"{split}{speaker}{label}.wav"}
        for split in ("train", "Test")
        for speaker in ("anna", "joy")
        for label in ("Anger", "sad", "puzzled")
    ]
    folder = folder_of(tmp_path, *(layout.format(**part) for part in parts))
    dataset = load_corpus(f"folder:{folder}", tmp_path)
    assert dataset.features["label"].names == ["angry", "sad", "puzzled"]
    assert len(dataset) == len(parts)
    assert set(dataset["speaker"]) == speakers


@pytest.mark.parametrize("places", [("train/1.wav", "test/2.wav"), ("train/sad/1.wav", "happy/2.wav")])
def test_folders_of_splits_are_no_labels(tmp_path, places):
    with pytest.raises(CorpusError, match=r"names of splits, not of labels.*SPEAKER/LABEL/clip.*table:PATH"):
        load_corpus(f"folder:{folder_of(tmp_path, *places)}", tmp_path)


@pytest.mark.parametrize("name", ["table:nowhere.csv", "folder:nowhere"])
def test_general_corpus_that_is_not_there(name, tmp_path):
    with pytest.raises(CorpusError, match=r"nowhere.*there is no such"):
        load_corpus(name, tmp_path)


def test_general_corpora_cannot_take_a_name_that_is_in_use(clips, tmp_path):
    taken = clips.rename(tmp_path / "RAVDESS")
    with pytest.raises(CorpusError, match="'ravdess' belongs to RAVDESS"):
        load_corpus(f"folder:{taken}", tmp_path)
    one, two = tmp_path / "1/mine", tmp_path / "2/mine"
    shutil.copytree(taken, one)
    shutil.copytree(taken, two)
    with pytest.raises(CorpusError, match="two corpora are named 'mine'"):
        load_corpora([f"folder:{one}", f"folder:{two}"], tmp_path, labels=["happy"])


# --- checksums ---


def test_checksums(tmp_path):
    made = make_corpus("crema_d", tmp_path, speakers=1, clips_per_label=1)
    clips = sorted(made.rglob("*.wav"))
    rows = [f"{c.name},{hashlib.sha256(c.read_bytes()).hexdigest()},{c.stat().st_size}" for c in clips]
    manifest = write_table(tmp_path / "manifest.csv", "file,sha256,bytes", *rows)
    assert verify_checksums(made, manifest).intact == tuple(clip.name for clip in clips)
    clips[0].write_bytes(clips[0].read_bytes()[:-1] + b"\x7f")  # same size, other content
    clips[1].write_bytes(clips[1].read_bytes()[:-10])  # truncated
    clips[2].unlink()
    report = verify_checksums(made, manifest)
    assert report.damaged == (clips[0].name, clips[1].name)
    assert report.missing == (clips[2].name,)
    assert str(report) == f"3 of 6 files intact, 1 missing, 2 damaged: {clips[0].name}, {clips[1].name}"


def test_checksums_need_a_folder_and_a_manifest(tmp_path):
    with pytest.raises(CorpusError, match="no such folder"):
        verify_checksums(tmp_path / "nowhere", tmp_path / "manifest.csv")
    with pytest.raises(CorpusError, match="no such manifest"):
        verify_checksums(tmp_path, tmp_path / "manifest.csv")
    with pytest.raises(CorpusError, match="columns file, sha256, bytes expected"):
        verify_checksums(tmp_path, write_table(tmp_path / "manifest.csv", "name,md5", "a,b"))


# --- real corpora ---


@pytest.mark.parametrize(
    ("name", "clips", "speakers", "counts"),
    [
        ("ravdess", 1440, 24, {label: 96 if label == "neutral" else 192 for label in COMMON_LABELS}),
        ("tess", 2800, 2, {label: 400 for label in COMMON_LABELS if label != "calm"}),
        ("ased", 2474, 65, {"angry": 486, "fearful": 510, "happy": 486, "neutral": 522, "sad": 470}),
    ],
)
def test_real_corpus(corpora_root, name, clips, speakers, counts):
    dataset = load_corpus(name, corpora_root)
    assert len(dataset) == clips == CORPORA[name].clips
    assert set(dataset["speaker"]) == set(CORPORA[name].speakers)
    assert len(set(dataset["speaker"])) == speakers
    assert Counter(map(dataset.features["label"].int2str, dataset["label"])) == counts


def test_real_ravdess_has_a_clip_twice(corpora_root, caplog):
    load_corpus("ravdess", corpora_root)
    duplicates = [record.getMessage() for record in caplog.records if "byte-identical" in record.getMessage()]
    assert len(duplicates) == 1
    assert "03-01-03-01-02-01-07" in duplicates[0]
    assert "03-01-03-01-02-02-07" in duplicates[0]


def test_real_emodb_is_said_to_be_incomplete(corpora_root, caplog):
    dataset = load_corpus("emodb", corpora_root)
    assert set(dataset["speaker"]) == set(CORPORA["emodb"].speakers)
    if len(dataset) != CORPORA["emodb"].clips:
        assert f"EmoDB: found {len(dataset):,} of 535 clips; every speaker is there" in caplog.text


def test_real_tess_says_every_word_in_every_emotion(corpora_root):
    dataset = load_corpus("tess", corpora_root)
    assert set(Counter(dataset["sentence"]).values()) == {14}
    assert len(set(dataset["sentence"])) == 200


def test_real_ased_sentences(corpora_root):
    dataset = load_corpus("ased", corpora_root)
    labels = {}
    for label, sentence in zip(dataset["label"], dataset["sentence"], strict=True):
        labels.setdefault(sentence, set()).add(label)
    assert sorted(sentence for sentence, of in labels.items() if len(of) == 5) == list(COMMON_SENTENCES)
    assert sum(len(of) == 1 for of in labels.values()) == 25


def test_real_ased_sexes_go_by_the_speaker(corpora_root):
    dataset = load_corpus("ased", corpora_root)
    codes = {"01": "female", "02": "male"}
    named = [(Path(row["path"]).stem, codes[Path(row["path"]).stem.split("-")[3]], row["sex"]) for row in dataset]
    assert sorted(stem for stem, by_name, by_speaker in named if by_name != by_speaker) == [
        "f2-01-01-02-15",
        "f2-02-01-02-25",
        "f2-07-02-02-21",
        "s4-01-02-02-09",
        "s4-04-01-02-23",
    ]


def test_all_official_names_of_crema_d(corpora_root):
    with open(corpora_root / "crema_d/manifest.csv", newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    assert len(names) == 7442
    utterances = {name: CORPORA["crema_d"].parse(Path("/corpus", name)) for name in names}
    assert [name for name, utterance in utterances.items() if utterance is None] == ["1076_MTI_SAD_XX.wav"]
    found = [utterance for utterance in utterances.values() if utterance]
    assert len(found) == CORPORA["crema_d"].clips
    assert {utterance.speaker for utterance in found} == set(CORPORA["crema_d"].speakers)
    expected = {"angry": 1271, "disgust": 1271, "fearful": 1271, "happy": 1271, "neutral": 1087, "sad": 1270}
    assert Counter(utterance.label for utterance in found) == expected
    assert Counter(utterance.intensity for utterance in found) == {"": 6076, "low": 455, "medium": 455, "high": 455}
    assert len({utterance.sentence for utterance in found}) == 12


def test_sexes_of_crema_d_are_those_of_its_own_table(corpora_root):
    with open(corpora_root / "crema_d/VideoDemographics.csv", newline="") as file:
        sexes = {f"crema_d-{row['ActorID']}": row["Sex"].lower() for row in csv.DictReader(file)}
    assert sexes == CORPORA["crema_d"].speakers


def test_real_clips_of_crema_d_agree_with_the_manifest(corpora_root):
    clips = {Path(path).name for path in load_corpus("crema_d", corpora_root)["path"]}
    report = verify_checksums(corpora_root / "crema_d", corpora_root / "crema_d/manifest.csv")
    assert set(report.intact) - {"1076_MTI_SAD_XX.wav"} == clips
    assert not report.damaged
