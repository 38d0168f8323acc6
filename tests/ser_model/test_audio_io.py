"""Recordings and samples as people hand them in, whole and broken, decoded by audio_io."""

import io
import os
import shutil
import subprocess
import tracemalloc
import wave

import numpy as np
import pytest
import soundfile
import soxr
import torch

from ser_model import audio_io, decoding, samples
from ser_model.audio_io import AudioError, load_audio
from train.augment.voice import RATE


needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed")


def encoded(samples, rate=RATE, container="WAV", subtype="PCM_16") -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=container, subtype=subtype)
    return stream.getvalue()


def correlation(left, right) -> float:
    length = min(len(left), len(right))
    return float(np.corrcoef(left[:length], right[:length])[0, 1])


@pytest.mark.parametrize(
    ("container", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 1 / 128),
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-7),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("FLAC", "PCM_16", 1e-4),
        ("AIFF", "PCM_16", 1e-4),
    ],
)
def test_lossless_formats_give_the_samples(tmp_path, speech, container, subtype, tolerance):
    path = tmp_path / "clip.wav"  # the content decides, not the name: TESS has AIFF in .wav
    path.write_bytes(encoded(speech, container=container, subtype=subtype))
    waveform = load_audio(path)
    assert waveform.dtype == np.float32
    np.testing.assert_allclose(waveform, speech, atol=tolerance, rtol=0)


@pytest.mark.parametrize(("container", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
def test_lossy_formats_sound_the_same(speech, container, subtype):
    waveform = load_audio(encoded(speech, container=container, subtype=subtype))
    assert abs(len(waveform) - len(speech)) < 0.1 * RATE
    assert correlation(waveform, speech) > 0.9 or container == "MP3"  # mp3 is shifted by its encoder's delay
    assert np.sqrt(np.mean(waveform**2)) == pytest.approx(np.sqrt(np.mean(speech**2)), rel=0.1)


@pytest.mark.parametrize("channels", [1, 2])
def test_opus_is_decoded_at_full_rate_whatever_was_recorded(speech, channels):
    content = encoded(np.stack([speech] * channels, axis=1), container="OGG", subtype="OPUS")
    assert soundfile.info(io.BytesIO(content)).samplerate == RATE
    stream = io.BytesIO(b"before" + content)
    stream.seek(len(b"before"))
    with decoding.opened(stream, "voice", max_duration=60) as sound:
        assert sound.rate == decoding.OPUS_RATE
        assert sound.seconds == pytest.approx(len(speech) / RATE)
        assert sum(map(len, sound.blocks)) == 3 * len(speech)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_any_rate_is_resampled(rate):
    times = np.arange(2 * rate) / rate
    waveform = load_audio(encoded(0.5 * np.sin(2 * np.pi * 440 * times), rate, subtype="FLOAT"))
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    assert len(waveform) == 2 * RATE
    np.testing.assert_allclose(waveform[800:-800], expected[800:-800], atol=1e-3)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels_are_averaged(speech, channels):
    gains = np.arange(1, channels + 1)
    waveform = load_audio(encoded(speech[:, None] * gains / channels, subtype="FLOAT"))
    np.testing.assert_allclose(waveform, speech * gains.mean() / channels, atol=1e-6)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.float16, np.float32, np.float64]
)
def test_arrays_are_scaled_by_their_type(speech, dtype):
    if np.dtype(dtype).kind == "f":
        given, step = speech.astype(dtype), 1e-3
    else:
        limits = np.iinfo(dtype)
        scale, middle = (limits.max - limits.min + 1) / 2, (limits.max + limits.min + 1) / 2
        given, step = (speech.astype(np.float64) * scale + middle).round().astype(dtype), 1 / scale
    np.testing.assert_allclose(load_audio(given, sampling_rate=RATE), speech, atol=max(step, 1e-6))


@pytest.mark.parametrize("shape", ["samples", "channels first", "channels last"])
def test_array_layouts(speech, shape):
    stereo = np.stack([speech, speech])
    given = {"samples": speech, "channels first": stereo, "channels last": stereo.T}[shape]
    np.testing.assert_allclose(load_audio(given, sampling_rate=RATE), speech, atol=1e-6)


def test_every_kind_of_input_gives_the_same(tmp_path, speech):
    content = encoded(speech, subtype="FLOAT")
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    pipe = io.BytesIO(content)
    pipe.seekable = lambda: False
    kinds = [path, str(path), content, bytearray(content), memoryview(content), io.BytesIO(content), pipe]
    arrays = [speech, speech.tolist(), torch.from_numpy(speech).requires_grad_()]
    pairs = [(RATE, speech), {"array": speech, "sampling_rate": RATE}]
    for given in kinds + pairs:
        np.testing.assert_array_equal(load_audio(given), speech)
    for given in arrays:
        np.testing.assert_array_equal(load_audio(given, sampling_rate=RATE), speech)


def test_a_file_object_is_read_from_its_position_and_stays_open(speech):
    stream = io.BytesIO(b"header" + encoded(speech, subtype="FLOAT"))
    stream.seek(6)
    np.testing.assert_array_equal(load_audio(stream), speech)
    assert not stream.closed


@pytest.mark.parametrize(
    "name", ["with space.wav", 'it\'s "quoted".wav', "😀 ñ.wav", "-leading-dash.wav", "no suffix"]
)
def test_odd_names(tmp_path, monkeypatch, speech, name):
    monkeypatch.chdir(tmp_path)
    with open(name, "wb") as file:
        file.write(encoded(speech))
    assert len(load_audio(name)) == len(speech)


def test_resampling_equals_soxr_in_one_piece_and_in_blocks(monkeypatch):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 44100 * 3).astype(np.float32)
    expected = soxr.resample(samples, 44100, RATE, "HQ")
    content = encoded(samples, 44100, subtype="FLOAT")
    np.testing.assert_allclose(load_audio(content), expected, atol=1e-6)
    monkeypatch.setattr("ser_model.samples.BLOCK_FRAMES", 10007)
    np.testing.assert_allclose(load_audio(content), expected, atol=1e-6)
    np.testing.assert_allclose(load_audio(samples, sampling_rate=44100), expected, atol=1e-6)


def test_target_rate(speech):
    assert len(load_audio(encoded(speech), target_rate=8000)) == len(speech) // 2


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_a_truncated_file_gives_what_is_there(speech, container):
    subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(container, "PCM_16")
    content = encoded(np.tile(speech, 4), container=container, subtype=subtype)
    waveform = load_audio(content[: len(content) // 2])
    assert 0.3 * 4 * len(speech) < len(waveform) < 0.7 * 4 * len(speech)


def refused(*args, **kwargs) -> str:
    with pytest.raises(AudioError) as caught:
        load_audio(*args, **kwargs)
    return str(caught.value)


def test_files_that_are_none(tmp_path):
    assert "no file" in refused(tmp_path / "missing.wav")
    assert "is a folder" in refused(tmp_path)
    empty = tmp_path / "empty.wav"
    empty.touch()
    assert "is empty" in refused(empty)
    assert "is empty" in refused(b"")
    text = tmp_path / "text.wav"
    text.write_text("not a recording " * 100)
    assert "text.wav" in refused(text)
    assert "wav, flac, ogg" in refused(text)
    header = tmp_path / "header.wav"
    soundfile.write(header, np.zeros(0), RATE)
    assert "no samples" in refused(header)
    assert "wav, flac, ogg" in refused(encoded(np.zeros(100))[:20])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (b"", "no_samples"),
        (b"not a recording " * 100, "undecodable"),
        (encoded(np.zeros(0)), "no_samples"),
        (encoded(np.array([0.0, np.nan]), subtype="FLOAT"), "unusable"),
        (np.zeros(0, np.float32), "no_samples"),
    ],
    # Their bytes hold the time at which they were made: as names they would differ between processes.
    ids=["nothing", "text", "no_frames", "nan", "empty_array"],
)
def test_an_error_tells_its_kind(given, reason):
    with pytest.raises(AudioError) as caught:
        load_audio(given, sampling_rate=RATE)
    assert caught.value.reason == reason


def test_an_unreadable_file(monkeypatch, speech_file):
    def denied(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    assert "Permission denied" in refused(speech_file)


@pytest.mark.parametrize(
    ("given", "sampling_rate", "expected"),
    [
        (np.zeros(8), None, "sampling rate"),
        (np.zeros(8), -16000, "-16000"),
        (np.zeros(8), 0, "whole number of Hz"),
        (np.zeros(8), 10**9, "whole number of Hz"),
        (np.zeros(8), "16000", "whole number of Hz"),
        (np.zeros(8), True, "whole number of Hz"),
        (np.zeros(8), float("nan"), "whole number of Hz"),
        (np.zeros(8), 16000.5, "whole number of Hz"),
        (np.array([0, np.nan, 0]), RATE, "NaN"),
        (np.array([0, np.inf, 0]), RATE, "infinite"),
        (np.zeros(0), RATE, "no samples"),
        ([], RATE, "no samples"),
        (np.zeros((2, 3, 4)), RATE, "(2, 3, 4)"),
        (np.zeros((300, 200)), RATE, "channels"),
        (np.float32(1), RATE, "shape"),
        (np.arange(8), RATE, "int64"),
        (np.zeros(8, complex), RATE, "complex128"),
        (np.zeros(8, bool), RATE, "bool"),
        (["a", "b"], RATE, "have no known range"),
        ([[1.0], [1.0, 2.0]], RATE, "no array of samples"),
        (np.array([20000.0, -3.0]), RATE, "within -1 to 1"),
        (5, RATE, "got int"),
        (None, None, "got NoneType"),
        ({"file": "a.wav"}, None, '"array"'),
        (io.StringIO("text"), None, "binary mode"),
    ],
)
def test_wrong_arrays_and_types(given, sampling_rate, expected):
    assert expected in refused(given, sampling_rate=sampling_rate)


def test_nan_in_a_file():
    assert "NaN" in refused(encoded(np.array([0.0, np.nan, 0.0]), subtype="FLOAT"))


def test_too_long_is_told_from_the_header(tmp_path, monkeypatch):
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 100 * 36, 0, "NONE", ""))
        file.writeframes(bytes(100 * 36 * 61))
    monkeypatch.setattr(decoding, "file_blocks", lambda _file: pytest.fail("it was decoded"))
    message = refused(path, max_duration=60)
    assert "61 s long" in message
    assert "at most 60 s" in message


def test_too_long_array_and_default_maximum():
    assert "61 min long" in refused(np.broadcast_to(np.int8(0), 61 * 60 * 1000), sampling_rate=1000)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.25, "0.25 s"), (75, "75 s"), (3600, "60 min"), (3665.2, "61 min 5 s")]
)
def test_spoken_duration(seconds, expected):
    assert samples.spoken_duration(seconds) == expected


def test_a_long_recording_is_decoded_in_little_memory():
    frames = 44100 * 240
    stream = io.BytesIO()
    with soundfile.SoundFile(stream, "w", 44100, 2, "PCM_16", format="WAV") as file:
        for _ in range(240):
            file.write(np.zeros((44100, 2), np.int16))
    stream.seek(0)
    tracemalloc.start()
    waveform = load_audio(stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(waveform) == 240 * RATE
    assert peak < waveform.nbytes + 40e6 < frames * 2 * 4


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are listed in /proc on Linux only")
def test_no_file_stays_open(tmp_path, speech_file):
    text = tmp_path / "text.wav"
    text.write_text("x" * 100)
    before = len(os.listdir("/proc/self/fd"))
    load_audio(speech_file)
    refused(text)
    assert len(os.listdir("/proc/self/fd")) == before


def test_without_ffmpeg_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    path = tmp_path / "voice.m4a"
    path.write_bytes(b"\0\0\0\x18ftypM4A " + bytes(100))
    assert "apt install ffmpeg" in refused(path)


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["m4a", "webm", "aac", "mka", "wma"])
def test_ffmpeg_decodes_the_rest(tmp_path, speech, suffix):
    stereo = tmp_path / "stereo.wav"
    soundfile.write(stereo, np.stack([speech, speech], -1), RATE)
    path = tmp_path / f"-a {suffix}'s.{suffix}"
    subprocess.run(["ffmpeg", "-v", "error", "-i", stereo, f"file:{path}"], check=True)
    for given in (path, path.read_bytes()):
        waveform = load_audio(given)
        assert abs(len(waveform) - len(speech)) < 0.15 * RATE
        assert np.sqrt(np.mean(waveform**2)) == pytest.approx(np.sqrt(np.mean(speech**2)), rel=0.1)
    assert "longer than 1 s" in refused(path, max_duration=1)


@needs_ffmpeg
def test_a_video_without_sound(tmp_path):
    path = tmp_path / "silent.mp4"
    video = ["-f", "lavfi", "-i", "color=c=red:s=64x64:d=1"]
    subprocess.run(["ffmpeg", "-v", "error", *video, str(path)], check=True)
    assert "no audio stream" in refused(path)


@needs_ffmpeg
@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile speech.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nspeech.wav\n#EXT-X-ENDLIST\n",
    ],
)
def test_playlists_open_no_further_file(tmp_path, speech_file, playlist):
    path = tmp_path / "list.m4a"
    path.write_text(playlist)
    assert "no recording" in refused(path)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "GSM610"),
        ("W64", "GSM610"),
        ("AIFF", "GSM610"),
        ("AU", "G721_32"),
        ("AU", "G723_24"),
        ("AU", "G723_40"),
        ("WAV", "G721_32"),
        ("WAV", "NMS_ADPCM_16"),
        ("WAV", "NMS_ADPCM_32"),
        ("WAV", "IMA_ADPCM"),
        ("WAV", "ULAW"),
    ],
)
def test_codecs_of_telephones(speech, container, subtype):
    narrow = soxr.resample(speech, RATE, 8000)
    waveform = load_audio(encoded(narrow, 8000, container, subtype))
    assert abs(len(waveform) - len(speech)) < 0.1 * RATE
    assert np.sqrt(np.mean(waveform**2)) == pytest.approx(np.sqrt(np.mean(speech**2)), rel=0.3)


def interrupted(speech) -> bytes:
    """A WAV whose recorder died before it wrote the sizes."""
    content = bytearray(encoded(speech))
    content[4:8] = content[40:44] = bytes(4)
    return bytes(content)


@pytest.mark.parametrize("program", [None, pytest.param("ffmpeg", marks=needs_ffmpeg)])
def test_a_wav_without_its_sizes(monkeypatch, speech, program):
    if program is None:
        monkeypatch.setattr(shutil, "which", lambda _name: None)
    np.testing.assert_allclose(load_audio(interrupted(speech)), speech, atol=1e-4)


@pytest.mark.parametrize("program", [None, pytest.param("ffmpeg", marks=needs_ffmpeg)])
def test_failed_decoding_is_not_called_silence(monkeypatch, speech, program):
    if program is None:
        monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setattr(decoding, "file_blocks", lambda _file: iter(()))
    monkeypatch.setattr(decoding, "au_blocks", lambda _stream, _channels: iter(()))
    message = refused(encoded(speech))
    assert "no samples" not in message
    assert "decoded" in message or "damaged" in message


@pytest.mark.parametrize("gain", [-1.0, -0.9])
@pytest.mark.parametrize("kind", ["array", "wav", pytest.param("mka", marks=needs_ffmpeg)])
def test_an_inverted_channel_does_not_silence_the_other(tmp_path, speech, gain, kind):
    stereo = np.stack([speech, gain * speech], -1)
    if kind == "array":
        waveform = load_audio(stereo, sampling_rate=RATE)
    else:
        path = tmp_path / "stereo.wav"
        soundfile.write(path, stereo, RATE, subtype="FLOAT")
        if kind == "mka":
            path = tmp_path / "stereo.mka"
            source = str(tmp_path / "stereo.wav")
            subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:a", "pcm_f32le", str(path)], check=True)
        waveform = load_audio(path)
    np.testing.assert_allclose(waveform, speech, atol=1e-6)


def test_unrelated_channels_are_averaged():
    noise = np.random.default_rng(0).normal(0, 0.1, (RATE, 8)).astype(np.float32)
    np.testing.assert_allclose(load_audio(noise, sampling_rate=RATE), noise.mean(1), atol=1e-6)


def test_int32_that_holds_16_bits(speech):
    given = (speech * 32767).astype(np.int16)
    expected = load_audio(given, sampling_rate=RATE)
    np.testing.assert_array_equal(load_audio(given.astype(np.int32), sampling_rate=RATE), expected)


class Decoder:
    """As torchcodec's: what datasets 4 gives for a row of audio."""

    def __init__(self, samples, sample_rate):
        self.samples, self.sample_rate = samples, sample_rate

    def get_all_samples(self):
        if self.samples is None:
            raise RuntimeError("no more frames")
        return type("AudioSamples", (), {"data": self.samples, "sample_rate": self.sample_rate})()


def test_what_libraries_give(tmp_path, speech):
    content = encoded(speech, subtype="FLOAT")
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    tensor = torch.from_numpy(speech)
    for given in (
        Decoder(tensor[None], RATE),
        {"bytes": content, "path": None},
        {"bytes": None, "path": str(path)},
        {"bytes": content, "path": "gone.wav"},
        {"raw": speech, "sampling_rate": RATE},
        (speech, RATE),
        (speech, float(RATE)),
        (tensor[None], RATE),
        (RATE, tensor),
        [RATE, speech],
        (np.int64(RATE), speech),
    ):
        np.testing.assert_array_equal(load_audio(given), speech)
    np.testing.assert_array_equal(load_audio(tensor.bfloat16(), sampling_rate=RATE), tensor.bfloat16().float().numpy())


def test_a_decoder_that_fails():
    assert "no more frames" in refused(Decoder(None, RATE))


def test_an_address_is_not_a_file():
    assert "download it first" in refused("https://example.org/clip.wav")


def test_a_tensor_without_storage():
    assert "meta" in refused(torch.zeros(RATE, device="meta"), sampling_rate=RATE)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        assert "pipe or a device" in refused(path)


def test_objects_that_fail_or_never_end(monkeypatch):
    class Failing(io.RawIOBase):
        def readinto(self, _buffer):
            raise RuntimeError("the cable is out")

        def readable(self):
            return True

    class Endless(io.RawIOBase):
        def readinto(self, buffer):
            return len(buffer)

        def readable(self):
            return True

    class SeekableFailing(Failing):
        def seekable(self):
            return True

        def seek(self, offset, _whence=0):
            return offset

        def tell(self):
            return 0

    for given in (Failing(), io.BufferedReader(Failing()), SeekableFailing()):
        assert "cable" in refused(given)
    monkeypatch.setattr(audio_io, "MAX_STREAM_BYTES", 1 << 22)
    assert "more than 4 MiB" in refused(Endless())


def test_a_file_of_very_many_channels_is_refused():
    assert "255 channels" in refused(encoded(np.zeros((100, 255))))


def test_blocks_of_many_channels_are_bounded():
    content = encoded(np.tile(np.random.default_rng(0).uniform(-0.5, 0.5, (8 * RATE, 1)), 64))
    tracemalloc.start()
    load_audio(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # all channels at once have 33 MB
