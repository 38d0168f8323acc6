"""The corpora by name: a new one is a module with a `CORPUS` and one line here."""

import difflib
import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path

from train.data.audio_tables import parse_address
from train.data.base import Corpus, CorpusError
from train.data.folders import folder_corpus
from train.data.stored_clips import audio_table_corpus
from train.data.tables import table_corpus


MODULES = ("ravdess", "tess", "crema_d", "savee", "iemocap", "emodb", "ased", "nemo", "emospeechcmd")  # in corpora/
CORPORA: Mapping[str, Corpus] = {
    corpus.name: corpus for corpus in (import_module(f"train.data.corpora.{module}").CORPUS for module in MODULES)
}

GENERAL_CORPORA = {"folder": folder_corpus, "table": table_corpus}
GENERAL_NAMES = ("folder:PATH", "table:PATH", "parquet:PATH", "hub:OWNER/NAME")


def get_corpus(name: str) -> Corpus:
    """Corpus of the registry by its name.

    Raises:
        CorpusError: no corpus has this name; the message gives the nearest one and all of them.
    """
    if name not in CORPORA:
        raise CorpusError(unknown_name("corpus", name, [*CORPORA, *GENERAL_NAMES]))
    return CORPORA[name]


def general_corpus(name: str, corpora_root: Path) -> tuple[Corpus, Path] | None:
    """Corpus and place of `folder:PATH`, `table:PATH`, `parquet:PATH` or `hub:OWNER/NAME`; None for any other name.

    A relative path is looked for in the working directory, then below the root of the corpora.
    """
    if address := parse_address(name, corpora_root):
        check_own_name(name, address.corpus)
        return audio_table_corpus(address)
    kind, _, place = name.partition(":")
    if kind not in GENERAL_CORPORA or not place:
        return None
    path = Path(place).expanduser()
    path = Path(os.path.abspath(path if path.exists() else corpora_root / path))
    corpus = GENERAL_CORPORA[kind](path)
    check_own_name(name, corpus.name)
    return corpus, path


def is_general(name: str) -> bool:
    """True if a name has the form of a general corpus, such as `folder:PATH`."""
    return name.partition(":")[0] in {known.partition(":")[0] for known in GENERAL_NAMES} and ":" in name


def check_own_name(name: str, corpus: str) -> None:
    """Raise CorpusError for a general corpus that has the name of a registered one, whose speakers it would mix up."""
    if corpus in CORPORA:
        raise CorpusError(
            f"{name}: the name {corpus!r} belongs to {CORPORA[corpus].title}. Use {corpus!r} itself, or rename the "
            f"{name.partition(':')[0]}."
        )


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Message for a name that is not known: the nearest one and all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}.{hint} Accepted are {', '.join(known)}."
