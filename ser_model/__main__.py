"""The command line: `python -m ser_model CLIP...` prints which emotion each recording expresses.

`python -m ser_model export` writes the model as an ONNX file.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ser_model.terminal import columns, open_closed_streams, padded, printable, shortened


if TYPE_CHECKING:  # imported when needed, so that --help answers at once
    from ser_model.prediction import Prediction
    from ser_model.recognizer import EmotionRecognizer


SHOWN_EMOTIONS = 3
MAX_NAME_COLUMNS = 48
EMOTION_COLUMNS = 10
BAR_COLUMNS = 10
BLOCKS = " ▏▎▍▌▋▊▉█"  # eighths of a column
STANDARD_INPUT = "-"
EXPORT = "export"

DESCRIPTION = "Tell which emotion the voice in each recording expresses, and how sure the model is."
EXAMPLES = """\
examples:
  python -m ser_model voice.wav                      one recording, with the model that comes along
  python -m ser_model *.mp3 --top-k 7                several, with the probability of every emotion
  python -m ser_model talk.flac --json               also over time: one segment a second beyond 6 s
  python -m ser_model a.wav --model OWNER/NAME       with a model from the Hugging Face Hub, or from a folder
  curl -s ADDRESS | python -m ser_model -            a recording from the standard input
  python -m ser_model FOLDER                         all recordings in a folder and the folders in it
  python -m ser_model FOLDER --output scores.parquet --workers 4   an archive into a table; goes on where it was cut
  python -m ser_model -- -odd-name.wav               a name that begins with a dash
  python -m ser_model export --output model.onnx     write the model as an ONNX file; see export --help
  python -m ser_model a.wav --model model.onnx       answer from that file alone

wav, flac, ogg, opus, mp3 and aiff are read as they are, everything else where ffmpeg is installed; up to an hour.
A recording without speech is answered by "no speech". Where the model is unsure, the line ends with the emotions that
it may be. The label is what a voice expresses, not what a person feels.

exit code: 0 if all were answered, 1 if a recording could not be used (the others are answered), 2 for a wrong
command or model.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if sys.stdout is None:
        print("ser_model: the standard output is closed: there is nowhere to print to", file=sys.stderr)
        return 1
    open_closed_streams()
    sys.stdout.reconfigure(errors="backslashreplace")  # names may hold what the terminal cannot show
    try:
        if arguments[:1] == [EXPORT]:
            return export(parse_export(arguments[1:]))
        return run(parse(arguments))
    except BrokenPipeError:  # the reader has seen enough, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # as with a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"ser_model: the answer cannot be written: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run(options: argparse.Namespace) -> int:
    """Load the model and answer the recordings."""
    from ser_model.recognizer import EmotionRecognizer

    try:
        if options.output:
            return write_archive(options)
        recognizer = EmotionRecognizer.from_pretrained(options.model, backend=options.backend, num_threads=1)
    except (OSError, ImportError) as error:
        return refused(error)
    return answer_all(recognizer, options)


def write_archive(options: argparse.Namespace) -> int:
    """Score the recordings into a table; 1 if one of them could not be used."""
    from ser_model.archive import ArchiveError, score_archive

    recordings = [clip for given in options.clips for clip in recordings_in(given)]
    try:
        outcome = score_archive(
            recordings, Path(options.output), model=options.model, backend=options.backend, workers=options.workers
        )
    except ArchiveError as error:
        return refused(error)
    print(
        f"{printable(options.output)}: {outcome.scored} recordings scored now, {outcome.before} before; "
        f"{outcome.failed} cannot be used (column error)"
    )
    return 1 if outcome.failed else 0


def export(options: argparse.Namespace) -> int:
    """Write a checkpoint as an ONNX file."""
    try:
        from ser_model.files import TORCH_FILES
        from ser_model.onnx_export import export_onnx
        from ser_model.recognizer import checkpoint_path

        export_onnx(checkpoint_path(options.model, None, None, TORCH_FILES), options.output, int8=options.int8)
    except OSError as error:
        if error.errno is None or error.filename not in (None, options.output):  # what was read
            return refused(error)
        if os.path.isfile(options.output):
            os.remove(options.output)  # a part of it
        return refused(OSError(f"{options.output} cannot be written: {error.strerror}"))
    except (ValueError, ImportError) as error:
        return refused(error)
    print(f"{printable(options.output)}: {os.path.getsize(options.output) / 1e6:.1f} MB")
    return 0


def refused(error: Exception) -> int:
    """The exit code for a model that cannot be used, after saying why on one line."""
    print(f"ser_model: {printable(' '.join(str(error).split()))}", file=sys.stderr)
    return 2


def parse_export(arguments: list[str]) -> argparse.Namespace:
    """The options of `export`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m ser_model {EXPORT}",
        description="Write a model as one ONNX file, from the waveform to the probabilities. Needs onnx, onnxscript "
        "and onnxruntime. A recording of the name 'export' is answered as ./export.",
    )
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="folder of a checkpoint or id on the Hub; by default the one that comes along",
    )
    parser.add_argument("--output", default="model.onnx", metavar="FILE", help="what to write (default: %(default)s)")
    parser.add_argument(
        "--int8",
        action="store_true",
        help="store weights as int8: a third of the size, nothing else; answers come no sooner, and differ a little",
    )
    return parser.parse_args(arguments)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m ser_model",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "clips", nargs="+", metavar="CLIP", help="recording to answer, a folder of them, or - for the standard input"
    )
    parser.add_argument(
        "--model",
        metavar="PATH_OR_ID",
        help="folder of a checkpoint, id on the Hub, or an exported file; by default what comes along",
    )
    parser.add_argument(
        "--backend",
        choices=("onnx", "torch"),
        help="what runs the network, with the same answers (default: onnx if the model has its file, else torch)",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write a table with a row for each recording: a .parquet, .csv or .jsonl file; started again after an "
        "interruption, only what is missing is scored",
    )
    parser.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="processes that score for --output (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line instead of a table")
    parser.add_argument(
        "--top-k",
        type=positive,
        metavar="N",
        help=f"show the N most probable emotions (table: {SHOWN_EMOTIONS} by default, JSON: all)",
    )
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 is needed, got {text!r}")
    return number


def answer_all(recognizer: "EmotionRecognizer", options: argparse.Namespace) -> int:
    """Answer each recording as soon as it is ready; 1 if one of them could not be used."""
    from ser_model.audio_io import AudioError

    exit_code = 0
    clips = [clip for given in options.clips for clip in recordings_in(given)]
    name_columns = min(MAX_NAME_COLUMNS, max(4, *(columns(printable(clip)) for clip in clips)))
    if not options.json:
        print(header(name_columns), flush=True)
    for clip in clips:
        try:
            audio = standard_input() if clip == STANDARD_INPUT else clip
            prediction = recognizer.predict(audio, progress=shown_progress(clip))
        except AudioError as error:
            print(f"ser_model: {printable(str(error))}", file=sys.stderr)
            exit_code = 1
            continue
        if options.json:
            print(as_json(clip, prediction, options.top_k), flush=True)
        else:
            print(row(clip, prediction, options.top_k or SHOWN_EMOTIONS, name_columns), flush=True)
    return exit_code


def recordings_in(place: str) -> list[str]:
    """The recordings below a folder, by path; anything else, or a folder without any, as it is."""
    from ser_model.decoding import AUDIO_SUFFIXES

    found = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(place)
        for name in names
        if name.lower().endswith(AUDIO_SUFFIXES) and not name.startswith(".")
    ]
    return sorted(found) or [place]


def standard_input() -> bytes:
    """
    A recording from the standard input.

    Raises:
        AudioError: it is closed, cannot be read, or has no end.
    """
    from ser_model.audio_io import AudioError
    from ser_model.decoding import MAX_STREAM_BYTES

    try:
        content = b"" if sys.stdin is None else sys.stdin.buffer.read(MAX_STREAM_BYTES + 1)
    except OSError as error:
        raise AudioError(f"The standard input cannot be read: {error.strerror or error}.") from error
    if sys.stdin is None:
        raise AudioError("The standard input is closed: pipe a recording into it, or give the path of a file.")
    if len(content) > MAX_STREAM_BYTES:
        raise AudioError(f"The standard input has more than {MAX_STREAM_BYTES >> 20} MiB: give a shorter recording.")
    return content


def as_json(clip: str, prediction: "Prediction", top_k: int | None) -> str:
    """One line; with `top_k`, scores hold only the most probable emotions."""
    answer = {"path": clip, **prediction.to_dict()}
    for part, emotions in [(answer, prediction), *zip(answer["segments"], prediction.segments, strict=True)]:
        if top_k is not None:
            part["scores"] = dict(emotions.ranked(top_k))
    return json.dumps(answer)


def header(name_columns: int) -> str:
    """Names of the table's columns."""
    bar = " " * (BAR_COLUMNS + 1) if shows_bars() else ""
    return f"{padded('file', name_columns)}  duration  {'emotion':{EMOTION_COLUMNS}}  {bar}confidence  then"


def row(clip: str, prediction: "Prediction", top_k: int, name_columns: int) -> str:
    """A line of the table: file, duration, emotion, confidence, the next emotions, and what is to be remarked."""
    name = padded(shortened(printable(clip), name_columns), name_columns)
    start = f"{name}  {clock(prediction.duration):>8}  {padded(printable(prediction.label), EMOTION_COLUMNS)}"
    if not prediction.speech:
        return start
    bar = progress_bar(prediction.confidence) + " " if shows_bars() else ""
    others = ", ".join(f"{printable(label)} {percent(score)}" for label, score in prediction.ranked(top_k)[1:])
    remark = "".join(f" ({remark})" for remark in remarks(prediction))
    return f"{start}  {bar}{percent(prediction.confidence):>10}  {others}{remark}".rstrip()


def remarks(prediction: "Prediction") -> list[str]:
    """Why not to rely on the label: "unsure between sad and neutral", "little voice to go by"."""
    *others, last = map(printable, prediction.candidates)
    unsure = f"unsure between {', '.join(others)} and {last}" if others else "unsure"
    sentences = {unsure: prediction.sure, "little voice to go by": prediction.familiar}
    return [sentence for sentence, fine in sentences.items() if not fine]


def percent(share: float) -> str:
    """0.824 -> "82%"."""
    return f"{100 * share:.0f}%"


def clock(seconds: float) -> str:
    """ "3.0 s", "61:05"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def progress_bar(share: float) -> str:
    """A bar of `BAR_COLUMNS` columns, in eighths of a column."""
    eighths = round(share * BAR_COLUMNS * 8)
    return (BLOCKS[8] * (eighths // 8) + BLOCKS[eighths % 8]).ljust(BAR_COLUMNS)[:BAR_COLUMNS]


def shows_bars() -> bool:
    """True if the output is a terminal that can show blocks."""
    return sys.stdout.isatty() and (sys.stdout.encoding or "").lower().startswith("utf")


def shown_progress(clip: str):  # noqa: ANN201 (a function or None)
    """Function that shows the progress of a long recording on a terminal, or None where there is none."""
    if not sys.stderr.isatty():
        return None

    def show(share: float) -> None:
        end = "\r\033[K" if share >= 1 else ""
        print(
            f"\r{shortened(printable(clip), MAX_NAME_COLUMNS)}: {percent(share)}", end=end, file=sys.stderr, flush=True
        )

    return show


if __name__ == "__main__":
    sys.exit(main())
