"""Exploring: what is drawn of clips and corpora, and what cannot be."""

import matplotlib.colors
import numpy as np
import pytest
import soundfile

from ser_model.audio_io import AudioError
from ser_model.colours import EMOTION_COLOURS
from tests.train.generated_corpora import make_corpus
from train.__main__ import main
from train.data import CorpusError
from train.report import explore


RATE = 16000


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpora")
    make_corpus("emodb", root, speakers=["emodb-03", "emodb-08", "emodb-09"], clips_per_label=2, duration_s=0.4)
    make_corpus("emodb", root, speakers=["emodb-08"], clips_per_label=3, duration_s=0.8)
    return root


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn, still open."""
    kept = []
    save = explore.save

    def keep(figure, path):
        kept.append(figure)
        save(figure, path)

    monkeypatch.setattr(explore, "save", keep)
    return kept


def test_corpus_and_clip_by_the_command(corpora, tmp_path, capsys):
    clip = next((corpora / "emodb").rglob("*.wav"))
    command = ["explore", "emodb", str(clip), "--corpora-root", str(corpora), "--output", str(tmp_path / "pictures")]
    assert main(command) == 0
    written = [tmp_path / "pictures" / "corpus_emodb.png", tmp_path / "pictures" / f"clip_{clip.stem}.png"]
    assert capsys.readouterr().out.split() == [str(path) for path in written]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_corpus_shows_labels_durations_sexes_and_speakers(corpora, tmp_path, drawn):
    explore.explore(["emodb"], corpora, tmp_path)
    labels, durations, sexes, speakers = drawn[0].axes
    assert drawn[0].get_suptitle() == "EmoDB: 49 clips, 3 speakers, 0.0 hours"
    names = ["angry", "disgust", "fearful", "happy", "neutral", "sad", "boredom"]
    assert [text.get_text() for text in labels.get_yticklabels()] == names
    assert [bar.get_width() for bar in labels.patches] == [7] * 7
    assert matplotlib.colors.to_hex(labels.patches[0].get_facecolor()) == EMOTION_COLOURS["angry"]
    assert durations.get_title(loc="left") == "durations: 0.40 to 0.80 s, median 0.40 s"
    assert [text.get_text() for text in sexes.texts] == ["35", "14", "2", "1"]
    assert [bar.get_height() for bar in speakers.patches] == [21, 14, 14]
    assert [text.get_text() for text in speakers.get_legend().get_texts()] == ["female (2)", "male (1)"]


def test_clip_is_drawn_as_the_network_gets_it(tmp_path, drawn):
    time = np.arange(2 * RATE) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 2000 * time) * (time > 1)
    soundfile.write(tmp_path / "tone.wav", tone, RATE)
    explore.explore([str(tmp_path / "tone.wav")], None, tmp_path / "pictures")
    waveform, envelope, spectrogram, mfcc = drawn[0].axes[:4]
    assert drawn[0].get_suptitle() == "tone.wav: 2.00 s"
    assert len(waveform.lines[0].get_ydata()) == 2 * RATE
    values = envelope.lines[0].get_ydata()
    assert values[:95].max() == 0
    assert values[105:195] == pytest.approx(0.5, abs=1e-3)
    image = spectrogram.images[0].get_array()
    loudest = image[:, 150].argmax() / (image.shape[0] - 1) * RATE / 2
    assert loudest == pytest.approx(2000, abs=RATE / 512)
    assert image.max() == 0
    assert mfcc.images[0].get_array().shape[0] == 40
    assert mfcc.get_xlim() == (0, 2)


def test_title_tells_what_the_name_says(corpora, tmp_path, drawn):
    soundfile.write(tmp_path / "03-01-06-01-02-01-12.wav", np.full(RATE, 0.1), RATE)
    explore.explore([str(tmp_path / "03-01-06-01-02-01-12.wav")], None, tmp_path)
    title = "03-01-06-01-02-01-12.wav: 1.00 s, fearful, RAVDESS, speaker 12 (female)"
    assert drawn[0].get_suptitle() == title


def test_silent_and_single_sample_clips_are_drawn(tmp_path):
    for name, samples in (("silent", 8000), ("single", 1)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(samples), RATE)
    paths = explore.explore([str(tmp_path / "silent.wav"), str(tmp_path / "single.wav")], None, tmp_path)
    assert all(path.stat().st_size > 10000 for path in paths)


def test_clips_of_one_name_do_not_overwrite_one_another(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "clip.wav", np.zeros(800), RATE)
    paths = explore.explore([str(tmp_path / folder / "clip.wav") for folder in "ab"], None, tmp_path)
    assert [path.name for path in paths] == ["clip_clip.png", "clip_clip_2.png"]


def test_corpus_of_folders(tmp_path):
    for label in ("angry", "sad"):
        (tmp_path / "mine" / label).mkdir(parents=True)
        soundfile.write(tmp_path / "mine" / label / "1.wav", np.zeros(4000), RATE)
    (path,) = explore.explore([f"folder:{tmp_path / 'mine'}"], None, tmp_path)
    assert path.name == "corpus_mine.png"


def test_unreadable_files_are_left_out_of_the_durations(caplog, tmp_path):
    soundfile.write(tmp_path / "good.wav", np.zeros(8000), RATE)
    (tmp_path / "bad.wav").write_bytes(b"RIFF, but not really")
    durations = explore.clip_durations([str(tmp_path / "good.wav"), str(tmp_path / "bad.wav")])
    assert durations[0] == 0.5
    assert np.isnan(durations[1])
    assert "bad.wav cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("ravdes", CorpusError, "There is no file 'ravdes'; unknown corpus 'ravdes'. Did you mean 'ravdess'"),
        ("ravdess", CorpusError, "Where is RAVDESS"),
        ("{folder}", CorpusError, "is a folder: give folder:"),
        ("{folder}/text.wav", AudioError, "text.wav"),
    ],
)
def test_what_cannot_be_explored(tmp_path, name, error, message):
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(error, match=message):
        explore.explore([name.format(folder=tmp_path)], None, tmp_path)
