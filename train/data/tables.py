"""A general corpus: a CSV, TSV or JSON Lines table of clips with path, label and speaker."""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

from train.data.base import Corpus, CorpusError, Utterance, common_name, plural
from train.data.folders import corpus_name


REQUIRED_COLUMNS = ("path", "label")
OPTIONAL_COLUMNS = ("speaker", "sex", "language", "intensity", "sentence")
SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}
DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")


def table_corpus(table: Path) -> Corpus:
    """Corpus of the clips that a table lists; paths in it are absolute or relative to the table's folder.

    Columns: path and label; speaker, sex (female, male, f, m), language, intensity and sentence where they are known.
    Rows without a speaker all count as one, "NAME-unknown".

    Raises:
        CorpusError: no such file, or neither .csv, .tsv, .jsonl nor .ndjson.
    """
    accepted = (*DELIMITERS, *JSON_LINES)
    if not table.is_file():
        raise CorpusError(f"table:{table}: there is no such file. Accepted are {', '.join(accepted)}.")
    if table.suffix.lower() not in accepted:
        raise CorpusError(f"table:{table}: not a table that can be read; accepted are {', '.join(accepted)}.")
    name = corpus_name(table.stem)
    return Corpus(
        name=name,
        title=name,
        language="unknown",
        licence="unknown",
        homepage="",
        labels={},
        speakers={},
        clips=None,
        example="path,label,speaker",
        read=lambda _: read(table, name),
    )


def read(table: Path, corpus: str) -> Iterator[Utterance]:
    """Utterances of all rows.

    Raises:
        CorpusError: a column or a value is missing, a line is no JSON object, or clips that it lists are not there.
    """
    missing = []
    for number, row in rows(table):
        path = Path(os.path.abspath(table.parent / row["path"]))
        if path.is_file():
            yield utterance(path, row, corpus)
        else:
            missing.append((number, path))
    if missing:
        number, path = missing[0]
        raise CorpusError(f"{table}: {plural(len(missing), 'clip')} not found; the first is {path} (line {number}).")


def utterance(path: Path, row: dict[str, str], corpus: str) -> Utterance:
    """Utterance of one row of the table."""
    return Utterance(
        path=str(path),
        label=common_name(row["label"]),
        speaker=f"{corpus}-{row['speaker'] or 'unknown'}",
        sex=SEXES.get(row["sex"].lower(), "unknown"),
        corpus=corpus,
        language=row["language"] or "unknown",
        intensity=row["intensity"],
        sentence=row["sentence"],
    )


def rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and known columns of every row, as stripped text, "" for an optional column that is not there."""
    read_rows = json_rows if table.suffix.lower() in JSON_LINES else delimited_rows
    for number, row in read_rows(table):
        values = {column: str(value).strip() for column, value in row.items() if value is not None}
        for column in REQUIRED_COLUMNS:
            if not values.get(column):
                found = ", ".join(map(str, row)) or "none"
                raise CorpusError(f"{table}, line {number}: no value for {column!r}. Columns of this row: {found}.")
        yield number, {column: values.get(column, "") for column in REQUIRED_COLUMNS + OPTIONAL_COLUMNS}


def delimited_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV or TSV file with a header; a byte order mark, as spreadsheets write it, is skipped."""
    with open(table, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=DELIMITERS[table.suffix.lower()])
        for row in reader:
            yield reader.line_num, row


def json_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a file with one JSON object on each line; blank lines are skipped."""
    with open(table, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, json_object(line, f"{table}, line {number}")


def json_object(line: str, where: str) -> dict[str, str]:
    """One line as a JSON object."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(f"{where}: no valid JSON ({error}).") from error
    if not isinstance(row, dict):
        raise CorpusError(f"{where}: {type(row).__name__} instead of an object with {', '.join(REQUIRED_COLUMNS)}.")
    return row
