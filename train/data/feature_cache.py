"""Analyses of clips, computed once: stored in the cache of `datasets`, found again by clips, settings and code."""

import inspect
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
from datasets import Dataset, Features, List, Value
from datasets.fingerprint import Hasher

from ser_model import acoustics, audio_io, decoding, feature_extraction_ser, frame_features, samples
from ser_model.audio_io import load_audio
from ser_model.feature_extraction_ser import SERFeatureExtractor


FOLDER = "speech_emotion"  # in the cache of `datasets`
CODE = (
    acoustics,
    audio_io,
    decoding,
    feature_extraction_ser,
    frame_features,
    samples,
)  # what an analysis depends on beside settings
ANALYSIS_FEATURES = Features({"log_mel": List(Value("float32")), "length": Value("int32")})
CLIPS_PER_PROCESS = 100  # fewer are analysed before another process has started
ROWS_IN_MEMORY = 100  # analyses that are written at a time, so that long clips do not add up


def clip_analyses(paths: Sequence[str], extractor: SERFeatureExtractor, num_proc: int | None = None) -> Dataset:
    """
    Analysis of each clip by [`SERFeatureExtractor.analyse`], read from the cache where it is there already.

    A run that is killed leaves nothing half-written behind.

    Args:
        paths: of the clips; a clip whose size or time of change is another one is analysed anew.
        extractor: with only those settings that its first step depends on.
        num_proc: processes that decode, one thread each; None for as many as there are processors and work for.

    Returns:
        A row for each path: `log_mel` (frames * columns values, frame by frame) and `length` (frames).
    """
    return computed_once(
        analyse_clip,
        paths,
        ANALYSIS_FEATURES,
        fingerprint(paths, extractor),
        num_proc=num_proc,
        desc="Decoding clips and computing spectrograms",
        extractor=extractor,
    )


def computed_once(
    function: Callable[..., Mapping[str, Any]],
    paths: Sequence[str],
    features: Features,
    name: str,
    *,
    num_proc: int | None = None,
    desc: str,
    **arguments: Any,
) -> Dataset:
    """
    Results of a function for each clip, read from the cache where they are there already.

    Args:
        function: from {"path": ...}, the number of the process and the arguments to a row with the features.
        paths: of the clips.
        features: of the rows.
        name: of what is stored, which changes with the clips and everything else that it depends on.
        num_proc: as in [`clip_analyses`].
        desc: what is said while it lasts.
    """
    cache_file = cache_folder() / f"{name}.arrow"
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    return Dataset.from_dict({"path": list(paths)}).map(
        function,
        with_rank=True,
        fn_kwargs=arguments,
        features=features,
        remove_columns=["path"],
        num_proc=num_proc or default_processes(len(paths)),
        cache_file_name=str(cache_file),
        load_from_cache_file=True,
        writer_batch_size=ROWS_IN_MEMORY,
        desc=desc,
    )


def cache_folder() -> Path:
    """Where analyses are stored: below HF_DATASETS_CACHE."""
    return Path(datasets.config.HF_DATASETS_CACHE, FOLDER)


def fingerprint(paths: Sequence[str], extractor: SERFeatureExtractor) -> str:
    """A name for the analyses of some clips, which changes with the clips, the settings and the code."""
    return Hasher.hash((changes_of(paths), extractor.to_dict(), [inspect.getsource(module) for module in CODE]))


def changes_of(paths: Sequence[str]) -> list[tuple[str, int, int]]:
    """Path, size and time of change of each clip."""
    return [(path, status.st_size, status.st_mtime_ns) for path in paths for status in [os.stat(path)]]


def default_processes(clips: int) -> int | None:
    """Processes for a number of clips: one for each processor, none where there is little to do or they cannot be."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = min(processors, clips // CLIPS_PER_PROCESS)
    # A daemon, such as a worker of a pool, may not have children.
    return None if processes < 2 or multiprocessing.current_process().daemon else processes


def analyse_clip(clip: dict[str, str], rank: int | None, extractor: SERFeatureExtractor) -> dict[str, object]:
    """Decode one clip and analyse it; `rank` is the number of the process, None in the only one."""
    if rank is not None:
        torch.set_num_threads(1)  # several threads in each of several processes stall one another
    waveform = torch.from_numpy(load_audio(clip["path"], target_rate=extractor.sampling_rate))
    analysis, lengths = extractor.analyse([waveform])
    return {"log_mel": analysis[0].numpy().ravel(), "length": int(lengths[0])}
