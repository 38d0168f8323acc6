"""Both mistakes of speech activity: real voices that are rejected, and other sounds that are taken for speech.

    python -m benchmarks.speech_activity --corpora-root DIR

Rejections are counted per corpus and emotion of the corpora that lie below the root; false alarms on generated sounds,
of which every variant has a length of 1 to 6 s, a level of -50 to -1 dB and settings of its own.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable

import numpy as np

from ser_model.audio_io import load_audio
from ser_model.speech_activity import has_speech
from train.augment.sounds import SOUNDS, generated


VARIANTS = 200
MAX_REJECTED, MAX_REJECTED_EMOTION, MAX_FALSE_ALARMS = 0.01, 0.02, 0.02


def measure_false_alarms(variants: int) -> bool:
    """Print the share of each kind that is taken for speech; whether all kinds together hold the bar."""
    alarms = {kind: sum(has_speech(generated(kind, index)) for index in range(variants)) for kind in SOUNDS}
    print(f"\ntaken for speech, of {variants} variants each:")
    for kind, count in alarms.items():
        print(f"  {kind:24}{count:6}{100 * count / variants:8.1f} %")
    return print_total(sum(alarms.values()), variants * len(SOUNDS), MAX_FALSE_ALARMS)


def measure_rejections(corpora_root: str) -> bool:
    """Print the share of each emotion of each corpus that is rejected; whether the bars hold."""
    clips, rejected, durations = Counter(), Counter(), []
    for corpus, label, path in all_clips(corpora_root):
        waveform = load_audio(path)
        start = time.perf_counter()
        speech = has_speech(waveform)
        durations.append(time.perf_counter() - start)
        clips[corpus, label] += 1
        rejected[corpus, label] += not speech
    print("voices that are rejected:")
    for corpus, label in sorted(clips):
        print_share(f"{corpus} {label}", rejected[corpus, label], clips[corpus, label])
    holds = print_emotions(clips, rejected)
    print(
        f"  a decision takes {1e3 * np.median(durations):.1f} ms, 90 % of them {1e3 * np.quantile(durations, 0.9):.1f}"
    )
    return print_total(sum(rejected.values()), sum(clips.values()), MAX_REJECTED) and holds


def print_emotions(clips: Counter, rejected: Counter) -> bool:
    """Print the share of each emotion over all corpora; whether each holds the bar."""
    labels = sorted({label for _, label in clips})
    shares = []
    for label in labels:
        counts = [sum(count for key, count in table.items() if key[1] == label) for table in (rejected, clips)]
        print_share(f"all {label}", *counts)
        shares.append(counts[0] / counts[1])
    return max(shares) <= MAX_REJECTED_EMOTION


def print_share(name: str, count: int, total: int) -> None:
    """One line of a table."""
    print(f"  {name:24}{count:6} of{total:6}{100 * count / total:8.2f} %")


def print_total(count: int, total: int, bar: float) -> bool:
    """Print the sum of a table beside its bar; whether it holds."""
    holds = count / total <= bar
    verdict = "ok" if holds else "MISSED"
    print(f"  {'in all':24}{count:6} of{total:6}{100 * count / total:8.2f} % (at most {100 * bar:g} %: {verdict})")
    return holds


def all_clips(corpora_root: str) -> Iterable[tuple[str, str, str]]:
    """Corpus, emotion and path of the clips of every corpus that lies below the root."""
    from train.data import CORPORA, CorpusError, load_corpus

    found = False
    for name in CORPORA:
        try:
            dataset = load_corpus(name, corpora_root)
        except CorpusError:
            continue  # not there
        found = True
        names = dataset.features["label"].names
        for path, label in zip(dataset["path"], dataset["label"], strict=True):
            yield name, names[label], path
    if not found:
        raise SystemExit(f"There is no corpus below {corpora_root!r}: give --corpora-root or set SER_CORPORA.")


def main() -> int:
    """Measure both and print the tables; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speech_activity", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--corpora-root", default=os.environ.get("SER_CORPORA"), help="default: the environment variable SER_CORPORA"
    )
    parser.add_argument("--variants", type=int, default=VARIANTS, help="of each kind of sound (default: %(default)s)")
    options = parser.parse_args()
    holds = [measure_rejections(options.corpora_root)] if options.corpora_root else []
    holds.append(measure_false_alarms(options.variants))
    return 0 if all(holds) else 1


if __name__ == "__main__":
    sys.exit(main())
